package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSection(t *testing.T) {
	const log = "# Changelog\n\n## Unreleased\n\nnew\n\n## 0.9.1 (2026-12-01)\n\n- [a](README.md), [b](https://b.example/)\n\n## 0.9.0 (2026-11-30)\n\n- first\n"
	notes, err := section(log, "0.9.1")
	require.NoError(t, err)
	require.Equal(t, "- [a](https://github.com/grantor-auth/grantor/blob/v0.9.1/README.md), [b](https://b.example/)\n", notes)
	notes, err = section(log, "0.9.0")
	require.NoError(t, err)
	require.Equal(t, "- first\n", notes)
	for _, version := range []string{"", "0.9", "0x9.0", "1.0.0", "Unreleased"} {
		_, err = section(log, version)
		require.Error(t, err, version)
	}
}

// TestNewestRelease: the chart installs the version that the CHANGELOG says was released last.
func TestNewestRelease(t *testing.T) {
	changes, err := os.ReadFile("../../../CHANGELOG.md")
	require.NoError(t, err)
	newest := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) \(`).FindSubmatch(changes)
	require.NotNil(t, newest)
	chart, err := os.ReadFile("../../../deploy/helm/grantor/Chart.yaml")
	require.NoError(t, err)
	require.Contains(t, string(chart), "\nversion: "+string(newest[1])+"\n")
	require.Contains(t, string(chart), "\nappVersion: "+string(newest[1])+"\n")
}
