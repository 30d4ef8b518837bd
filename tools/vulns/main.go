// Command vulns runs govulncheck with the first database that answers: Go's own, then the module golang.org/x/vulndb by
// the module proxy. Without either it warns and succeeds; a vulnerability that the code can reach fails.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/vuln/scan"
)

const (
	official = "https://vuln.go.dev"
	module   = "golang.org/x/vulndb@latest"
	patience = 5 * time.Second // for the official one to answer
	longest  = 2 * time.Minute // for the module to come
)

func main() {
	db := flag.String("db", "", "URL of a database, also file:///DIR with OSV files (default: the first that answers)")
	tags := flag.String("tags", "", "build tags")
	flag.Parse()
	ctx := context.Background()
	if *db == "" {
		*db = first(ctx, official, module)
	}
	if *db == "" {
		fmt.Printf("WARNING: no vulnerability database answers (%s, %s): known vulnerabilities were NOT looked for\n", official, module)
		return
	}
	fmt.Println("vulnerabilities as of", *db)
	if err := check(ctx, *db, *tags, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// check fails when the packages of the patterns can reach a known vulnerability.
func check(ctx context.Context, db, tags string, patterns []string) error {
	c := scan.Command(ctx, append([]string{"-db", db, "-tags", tags}, patterns...)...)
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// first returns the URL of the first database that can be had, "" for none.
func first(ctx context.Context, site, module string) string {
	if answers(ctx, site) {
		return site
	}
	return fetched(ctx, module)
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

// fetched downloads the module of the database's sources, whose checksum the go command verifies; govulncheck reads its
// directory of OSV files as it is.
func fetched(ctx context.Context, module string) string {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	c.Dir = os.TempDir() // outside of a module: no go.mod learns of it
	text, err := c.Output()
	var got struct{ Dir string }
	if err != nil || json.Unmarshal(text, &got) != nil || got.Dir == "" {
		return ""
	}
	return "file://" + filepath.ToSlash(filepath.Join(got.Dir, "data", "osv"))
}
