// Command platforms checks that a module compiles, tests included, for other systems: it reads and
// type-checks the source of every package and of what it imports, as a compiler does, but makes no
// code. That is a tenth of the work of building for each of them.
//
//	go run ./platforms -C ../.. linux/amd64 windows/arm64
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("C", ".", "the module's folder")
	flag.Parse()
	wrong := 0
	for _, platform := range flag.Args() {
		mistakes, err := check(*dir, platform)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range mistakes {
			fmt.Fprintf(os.Stderr, "%s: %s\n", platform, m)
		}
		wrong += len(mistakes)
	}
	if wrong > 0 {
		os.Exit(1)
	}
}

// check returns what does not compile for a platform such as "windows/amd64".
func check(dir, platform string) ([]string, error) {
	system, machine, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, fmt.Errorf("%q is no platform such as windows/amd64", platform)
	}
	list, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes |
			packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes | packages.NeedModule,
		Dir: dir, Tests: true, Env: append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+machine),
	}, "./...")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, p := range list {
		for _, e := range p.Errors {
			found = append(found, e.Error())
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
