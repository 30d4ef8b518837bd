package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("testdata", "osv"))
	require.NoError(t, err)
	db := "file://" + filepath.ToSlash(dir)
	t.Run("V-36 a vulnerability that the code reaches fails", func(t *testing.T) {
		err := check(t.Context(), db, "", true, []string{"./testdata/reaches"})
		require.ErrorContains(t, err, "1 looked at")
		require.ErrorContains(t, err, "reached: 0 of modules, 1 of the standard library")
	})
	t.Run("V-36 one of a module fails also where the standard library only warns", func(t *testing.T) {
		err := check(t.Context(), db, "", false, []string{"./testdata/module"})
		require.ErrorContains(t, err, "reached: 1 of modules, 0 of the standard library")
	})
	t.Run("one of the standard library only warns, where asked", func(t *testing.T) {
		require.NoError(t, check(t.Context(), db, "", false, []string{"./testdata/reaches"}))
	})
	t.Run("V-36 one that it does not reach passes", func(t *testing.T) {
		require.NoError(t, check(t.Context(), db, "", true, []string{"./testdata/imports"}))
	})
	t.Run("a database that breaks off is an error", func(t *testing.T) {
		require.Error(t, check(t.Context(), "file:///does/not/exist", "", true, []string{"./testdata/imports"}))
	})
	t.Run("one without entries is an error", func(t *testing.T) {
		err := check(t.Context(), "file://"+filepath.ToSlash(t.TempDir()), "", true, []string{"./testdata/imports"})
		require.ErrorContains(t, err, "empty or none")
	})
	t.Run("packages that do not build are an error", func(t *testing.T) {
		require.Error(t, check(t.Context(), db, "", true, []string{"./testdata/absent"}))
	})
}

func TestMended(t *testing.T) {
	std := func(fixed string) finding { return finding{Fixed: fixed, Trace: []frame{{Module: "stdlib"}}} }
	other := finding{Fixed: "v9.0.0", Trace: []frame{{Module: "example.test/m"}}}
	r := report{golang: "go1.26.8", reached: []finding{std("v1.26.10"), std("v1.26.9"), std(""), other}}
	require.Equal(t, "go1.26.10 or newer", r.mended())
	r.reached = []finding{std(""), other}
	require.Contains(t, r.mended(), "when there is one")
}
