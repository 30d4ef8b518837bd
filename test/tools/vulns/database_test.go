package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFirst(t *testing.T) {
	none := debug.Module{Path: "none"}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/modules.json.gz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Run("the official one, where it answers", func(t *testing.T) {
		require.Equal(t, site.URL, first(t.Context(), site.URL, none))
	})
	t.Run("none, where neither does", func(t *testing.T) {
		require.Empty(t, first(t.Context(), site.URL+"/elsewhere", none))
		site.Close()
		require.Empty(t, first(t.Context(), site.URL, none))
	})
	t.Run("the pinned module otherwise, from the cache of the build", func(t *testing.T) {
		t.Setenv("GOPROXY", "off")
		db := first(t.Context(), site.URL, pinned())
		require.Regexp(t, `^file:///.*/golang.org/x/vulndb@.*/data/osv$`, db)
		entries, err := os.ReadDir(filepath.FromSlash(strings.TrimPrefix(db, "file://")))
		require.NoError(t, err)
		require.Greater(t, len(entries), 4000)
	})
	t.Run("not the module whose checksum is another than go.sum's", func(t *testing.T) {
		other := pinned()
		other.Sum = "h1:other="
		require.Empty(t, first(t.Context(), site.URL, other))
	})
}
