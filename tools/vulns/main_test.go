package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("testdata", "osv"))
	require.NoError(t, err)
	db := "file://" + filepath.ToSlash(dir)
	t.Run("V-36 a vulnerability that the code reaches fails", func(t *testing.T) {
		err := check(t.Context(), db, "", []string{"./testdata/reaches"})
		require.ErrorContains(t, err, "vulnerabilities found")
	})
	t.Run("V-36 one that it does not reach passes", func(t *testing.T) {
		require.NoError(t, check(t.Context(), db, "", []string{"./testdata/imports"}))
	})
	t.Run("a database that breaks off is an error", func(t *testing.T) {
		require.Error(t, check(t.Context(), "file:///does/not/exist", "", []string{"./testdata/imports"}))
	})
}

func TestFirst(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/modules.json.gz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Run("the official one, where it answers", func(t *testing.T) {
		require.Equal(t, site.URL, first(t.Context(), site.URL, "none"))
	})
	t.Run("none, where neither does", func(t *testing.T) {
		require.Empty(t, first(t.Context(), site.URL+"/elsewhere", "none"))
		site.Close()
		require.Empty(t, first(t.Context(), site.URL, "none"))
	})
	t.Run("the module otherwise", func(t *testing.T) {
		require.Regexp(t, `^file:///.*testify@.*/data/osv$`, first(t.Context(), site.URL, "github.com/stretchr/testify@v1.12.1"))
	})
}
