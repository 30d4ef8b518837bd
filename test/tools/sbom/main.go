// Command sbom writes the bill of materials of a program in Go to standard output, as CycloneDX 1.6
// in JSON: the modules that the linker noted in the file. It depends on the file alone, so it has
// neither a time nor a serial number.
//
//	sbom -version 0.9.0 grantor
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	log.SetFlags(0)
	version := flag.String("version", "", "the version of the program, if the file does not say it")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("sbom: name one program, such as: sbom -version 0.9.0 grantor")
	}
	bom, err := read(flag.Arg(0), *version)
	if err == nil {
		err = write(os.Stdout, bom)
	}
	if err != nil {
		log.Fatal("sbom: ", err)
	}
}

func write(w io.Writer, bom *cdx.BOM) error {
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// read makes the bill of materials of a program. version is the program's own; "": what Go noted.
func read(name, version string) (*cdx.BOM, error) {
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s is no program built by Go with modules: %w", name, err)
	}
	file, err := os.ReadFile(name) // #nosec G304 -- the caller names the program
	if err != nil {
		return nil, err
	}
	if version != "" {
		info.Main.Version = "v" + strings.TrimPrefix(version, "v")
	}
	main := component(info.Main, cdx.ComponentTypeApplication)
	sum := sha256.Sum256(file)
	main.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	main.Properties = settings(info)
	used := []cdx.Component{component(debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}, cdx.ComponentTypeLibrary)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		used = append(used, component(*m, cdx.ComponentTypeLibrary))
	}
	refs := make([]string, len(used))
	for i, c := range used {
		refs[i] = c.BOMRef
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components = &used
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom, nil
}

// component is a module under its package URL, by which scanners look for vulnerabilities.
func component(m debug.Module, kind cdx.ComponentType) cdx.Component {
	purl := "pkg:golang/" + m.Path
	if m.Version != "" && m.Version != "(devel)" {
		purl += "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	}
	c := cdx.Component{BOMRef: purl, Type: kind, Name: m.Path, Version: m.Version, PackageURL: purl}
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}} // of go.sum
	}
	return c
}

// settings are the choices of the build that decide what is in the program.
func settings(info *buildinfo.BuildInfo) *[]cdx.Property {
	var list []cdx.Property
	for _, s := range info.Settings {
		switch s.Key {
		case "-tags", "CGO_ENABLED", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "vcs.revision":
			list = append(list, cdx.Property{Name: "golang:" + s.Key, Value: s.Value})
		}
	}
	return &list
}
