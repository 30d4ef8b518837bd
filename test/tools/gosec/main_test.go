package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	t.Run("a finding is told", func(t *testing.T) {
		found, err := scan(nil, []string{"./testdata/weak"})
		require.NoError(t, err)
		found, err = unexcused(found)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, "G404", found[0].RuleID)
	})
	t.Run("a reason excuses it", func(t *testing.T) {
		found, err := scan(nil, []string{"./testdata/excused"})
		require.NoError(t, err)
		require.Empty(t, found)
	})
	t.Run("without a reason nothing is excused", func(t *testing.T) {
		found, err := scan(nil, []string{"./testdata/unsaid"})
		require.True(t, err != nil || len(found) > 0)
	})
	t.Run("no packages are an error and not nothing found", func(t *testing.T) {
		_, err := scan(nil, nil)
		require.Error(t, err)
	})
}

func TestExclusions(t *testing.T) {
	for _, e := range exclusions() {
		require.NotEmpty(t, e.reason)
		require.NotEmpty(t, e.rules)
		for _, r := range e.rules {
			require.Regexp(t, `^G\d{3}$`, r)
		}
	}
}
