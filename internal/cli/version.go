package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p Program) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print version and build", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			version, revision := build()
			return answer(c, asJSON, map[string]string{"version": version, "revision": revision, "go": runtime.Version()},
				fmt.Sprintf("grantor %s %s %s\n", version, revision, runtime.Version()))
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

// build returns the version of the module and the revision that it was built from.
func build() (version, revision string) {
	version = "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return version, revision
}

func version() string {
	v, _ := build()
	return v
}
