// Package packages makes the deb and the rpm of a release from .goreleaser.yaml, as GoReleaser
// does, so that tests can install them before there is a release.
package packages

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // nfpm.Get finds it
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // likewise
)

// Build is what a package is made of.
type Build struct {
	Root    string // the source tree; bin/release in it holds what the command assets writes
	Binary  string // the path of the program
	Version string // "0.9.0"
	Arch    string // "amd64", "arm64"
	Output  string // the folder of the package
}

// Pack writes a package of the format "deb" or "rpm", and returns its path.
func Pack(b Build, format string) (string, error) {
	project, err := config.Load(filepath.Join(b.Root, ".goreleaser.yaml"))
	if err != nil {
		return "", err
	}
	if len(project.NFPMs) != 1 {
		return "", fmt.Errorf(".goreleaser.yaml has %d kinds of packages, not one", len(project.NFPMs))
	}
	info := b.info(project.NFPMs[0], format)
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return "", err
	}
	name := filepath.Join(b.Output, packager.ConventionalFileName(info))
	f, err := os.Create(name) // #nosec G304 -- the caller's folder
	if err != nil {
		return "", err
	}
	if err := packager.Package(info, f); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return name, f.Close()
}

// info is what nfpm calls a package. Of the format's overrides those are read that Grantor has.
func (b Build) info(from config.NFPM, format string) *nfpm.Info {
	depends, recommends, suggests := from.Dependencies, from.Recommends, from.Suggests
	if own, ok := from.Overrides[format]; ok {
		depends, recommends, suggests = own.Dependencies, own.Recommends, own.Suggests
	}
	script := func(name string) string { return filepath.Join(b.Root, name) }
	contents := files.Contents{{Source: b.Binary, Destination: from.Bindir + "/grantor", FileInfo: &files.ContentFileInfo{Mode: 0o755}}}
	for _, c := range from.Contents {
		source := c.Source
		if source != "" {
			source = filepath.Join(b.Root, source)
		}
		contents = append(contents, &files.Content{Source: source, Destination: c.Destination, Type: c.Type, Packager: c.Packager,
			FileInfo: &files.ContentFileInfo{Owner: c.FileInfo.Owner, Group: c.FileInfo.Group, Mode: c.FileInfo.Mode}})
	}
	return nfpm.WithDefaults(&nfpm.Info{
		Name: from.PackageName, Arch: b.Arch, Platform: "linux", Version: b.Version, Section: from.Section, Priority: from.Priority,
		Maintainer: from.Maintainer, Description: from.Description, Vendor: from.Vendor, Homepage: from.Homepage, License: from.License,
		Overridables: nfpm.Overridables{Depends: depends, Recommends: recommends, Suggests: suggests, Contents: contents, Scripts: nfpm.Scripts{
			PreInstall: script(from.Scripts.PreInstall), PostInstall: script(from.Scripts.PostInstall),
			PreRemove: script(from.Scripts.PreRemove), PostRemove: script(from.Scripts.PostRemove)}},
	})
}
