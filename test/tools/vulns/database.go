package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/mod/module"
	_ "golang.org/x/vulndb/cmd/vulnreport/color" // of no use here, and small: keeps the module in go.mod, go.sum and the binary's build information
)

const (
	official = "https://vuln.go.dev"
	database = "golang.org/x/vulndb"
	patience = 5 * time.Second // for the official one to answer
	longest  = 2 * time.Minute // for the module to come
)

// pinned returns the module of the database's sources that this binary was built with: version and
// checksum are those of go.mod and go.sum, wherever it runs.
func pinned() debug.Module {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == database {
				return *m
			}
		}
	}
	return debug.Module{}
}

// first returns the URL of the first database that can be had, "" for none.
func first(ctx context.Context, site string, m debug.Module) string {
	if answers(ctx, site) {
		log.Print("vulnerabilities as of now, from ", site)
		return site
	}
	db := fetched(ctx, m)
	if at, err := module.PseudoVersionTime(m.Version); db != "" && err == nil {
		log.Printf("%s does not answer: vulnerabilities as of %s, from %s@%s", site, at.Format(time.DateOnly), m.Path, m.Version)
	}
	return db
}

// answers asks a database for its index, as https://go.dev/doc/security/vuln/database has it.
func answers(ctx context.Context, site string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, site+"/index/modules.json.gz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// fetched has the go command find the module, which lies in its cache since the build, and returns
// the URL of its OSV files: govulncheck reads a flat directory of them and makes the index of
// https://go.dev/doc/security/vuln/database itself. "" if it cannot be had, or is not what go.sum
// says.
func fetched(ctx context.Context, m debug.Module) string {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.Path+"@"+m.Version)
	c.Dir = os.TempDir()                              // outside of a module: no go.mod learns of it
	c.Env = append(os.Environ(), "GONOSUMDB="+m.Path) // go.sum's checksum is compared below, so that nobody needs be asked
	text, err := c.Output()
	var got struct{ Dir, Sum string }
	if err != nil || json.Unmarshal(text, &got) != nil || got.Dir == "" || got.Sum != m.Sum {
		return ""
	}
	return "file://" + filepath.ToSlash(filepath.Join(got.Dir, "data", "osv"))
}
