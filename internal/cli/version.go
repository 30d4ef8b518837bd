package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (p Program) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print version and build", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			version, revision := p.build()
			return answer(c, asJSON, map[string]string{"version": version, "revision": revision, "go": runtime.Version()}, p.versionLine())
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

// versionLine is what "grantor version" and "grantor --version" print.
func (p Program) versionLine() string {
	version, revision := p.build()
	return strings.Join(strings.Fields(fmt.Sprintf("grantor %s %s %s", version, revision, runtime.Version())), " ") + "\n"
}

// build returns the version, such as "0.9.0", and the revision that it was built from. A release
// writes both into main. Otherwise Go noted the module's version, or the tag of a clone.
func (p Program) build() (version, revision string) {
	version, revision = p.Version, p.Revision
	if info, ok := debug.ReadBuildInfo(); ok {
		version = cmp.Or(version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = cmp.Or(revision, s.Value)
			}
		}
	}
	return strings.TrimPrefix(cmp.Or(version, "(devel)"), "v"), revision
}

func (p Program) version() string {
	v, _ := p.build()
	return v
}
