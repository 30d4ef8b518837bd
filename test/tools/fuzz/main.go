// Command fuzz runs every fuzz target of the module, one after the other: `bin/fuzz -time 30s` in
// the module's root. It tells the line of docs/evidence/faults.md for row S-55 (package figure).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/test/tools/figure"
)

// target is a fuzz test and the directory of its package.
type target struct{ dir, name string }

func (t target) String() string { return filepath.ToSlash(t.dir) + " " + t.name }

func main() {
	long := flag.Duration("time", 30*time.Second, "how long to fuzz each target")
	only := flag.String("only", "", "a regular expression for \"DIRECTORY TARGET\"")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err == nil {
		err = run(pattern, *long)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run fuzzes what matches, until something fails.
func run(only *regexp.Regexp, long time.Duration) error {
	list, err := targets(".")
	if err != nil {
		return err
	}
	var counts []int
	for _, t := range list {
		if !only.MatchString(t.String()) {
			continue
		}
		n, err := t.fuzz(long)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d executions\n", t, n)
		counts = append(counts, n)
	}
	return figure.Tell(line(counts, long))
}

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)

// targets finds the fuzz tests under a directory.
func targets(root string) (list []target, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			list = append(list, target{filepath.Dir(path), string(m[1])})
		}
		return err
	})
	return list, err
}

// fuzz returns the number of executions, or an error that holds what go test said.
func (t target) fuzz(long time.Duration) (int, error) {
	c := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", long.String(), "-parallel", "1", ".")
	c.Dir = t.dir
	out, err := c.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", t, err, out)
	}
	return executions(out), nil
}

var execs = regexp.MustCompile(`execs: (\d+)`)

// executions reads the last count of go test's progress.
func executions(out []byte) int {
	all := execs.FindAllSubmatch(bytes.TrimSpace(out), -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(string(all[len(all)-1][1])) // digits
	return n
}

// line is that of row S-55.
func line(counts []int, long time.Duration) string {
	sum, least := 0, 0
	for i, n := range counts {
		sum += n
		if i == 0 || n < least {
			least = n
		}
	}
	return fmt.Sprintf("S-55 | %d fuzz targets for %s each: %d executions, at least %d of each, 0 crashers | 0 crashers", len(counts), long, sum, least)
}
