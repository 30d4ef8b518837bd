// Command vulns runs govulncheck with the first database that can be had: Go's own, then the module
// golang.org/x/vulndb as tools/go.mod pins it, which the module proxy serves too. Without either it
// warns and succeeds. A vulnerability that the code can reach fails; else it tells the line of
// docs/evidence/faults.md for row V-36 (package figure).
package main

import (
	"context"
	"flag"
	"log"

	"github.com/grantor-auth/grantor/test/tools/figure"
)

func main() {
	log.SetFlags(0)
	db := flag.String("db", "", "URL of a database, also file:///DIR with OSV files (default: the first that can be had)")
	tags := flag.String("tags", "", "build tags")
	std := flag.Bool("std", true, "fail for the standard library too, which another Go mends and no change of the code; if not, warn")
	flag.Parse()
	ctx := context.Background()
	if *db == "" {
		*db = first(ctx, official, pinned())
	}
	if *db == "" {
		log.Printf("WARNING: no vulnerability database can be had (%s, %s): known vulnerabilities were NOT looked for", official, database)
		return
	}
	if err := check(ctx, *db, *tags, *std, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// check fails when the packages of the patterns can reach a known vulnerability; std says whether
// one of the standard library counts.
func check(ctx context.Context, db, tags string, std bool, patterns []string) error {
	r, err := scanned(ctx, db, tags, patterns)
	if err != nil {
		return err
	}
	if err := r.verdict(std); err != nil {
		return err
	}
	return figure.Tell("V-36 | " + r.said() + " | 0 findings reachable")
}
