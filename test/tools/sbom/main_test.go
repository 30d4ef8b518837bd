package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	own := filepath.Join(t.TempDir(), "sbom") // go test notes no modules in its own program
	out, err := exec.Command("go", "build", "-o", own, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	bom, err := read(own, "0.9.0")
	require.NoError(t, err)
	var first, second bytes.Buffer
	require.NoError(t, write(&first, bom))
	again, err := read(own, "0.9.0")
	require.NoError(t, err)
	require.NoError(t, write(&second, again))
	require.Equal(t, first.String(), second.String(), "one program has one bill of materials")

	var decoded cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(&first, cdx.BOMFileFormatJSON).Decode(&decoded))
	require.Equal(t, cdx.SpecVersion1_6, decoded.SpecVersion)
	require.Equal(t, "v0.9.0", decoded.Metadata.Component.Version)
	found := map[string]cdx.Component{}
	for _, c := range *decoded.Components {
		found[c.Name] = c
	}
	require.Regexp(t, `^1\.\d+`, found["std"].Version, "vulnerabilities of the standard library are found by it")
	library := found["github.com/CycloneDX/cyclonedx-go"]
	require.Equal(t, "pkg:golang/github.com/CycloneDX/cyclonedx-go@"+library.Version, library.PackageURL)
	require.Len(t, (*library.Hashes)[0].Value, 64)
	require.Len(t, *(*decoded.Dependencies)[0].Dependencies, len(found))
}

func TestReadRefusesWhatIsNoProgram(t *testing.T) {
	name := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("x", 4096)), 0o600))
	_, err := read(name, "")
	require.ErrorContains(t, err, "is no program built by Go with modules")
}
