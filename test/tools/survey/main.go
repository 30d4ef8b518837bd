// Command survey measures how the house reads: lengths of functions and files, comments, wide
// lines, names with two meanings, exported names, and uses between the files of a package that run
// in a circle. It judges nothing.
//
//	go run -C test/tools ./survey [folder]
//	go run -C test/tools ./survey -package server [folder]   uses between its files, circles first
//	go run -C test/tools ./survey -walk 'server.(*Server).token' ./server ./tokens
//
// -walk counts the rooms of a request: the files of the named packages that a function leads
// through, by its calls, depth first in the order of the source. It also counts the climbs back:
// the pairs of rooms where the later calls a function of the earlier, which the reader had left.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	one := flag.String("package", "", "print the uses between the files of this package alone")
	starts := flag.String("walk", "", "print the rooms of a request: the functions that it starts at, with commas; packages follow")
	skip := flag.String("skip", "Memory", "with -walk: names of types that the request does not pass, with commas")
	root := flag.String("C", "../..", "with -walk: the folder of the module")
	flag.Parse()
	if *starts != "" {
		exitOn(printWalk(os.Stdout, *root, strings.Split(*starts, ","), flag.Args(), strings.Split(*skip, ",")))
		return
	}
	s, err := survey(cmp.Or(flag.Arg(0), *root))
	exitOn(err)
	if *one != "" {
		s.printUses(os.Stdout, *one)
		return
	}
	s.print(os.Stdout)
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "survey:", err)
		os.Exit(1)
	}
}

// printWalk writes the rooms that functions lead through, one walk after the other.
func printWalk(out io.Writer, root string, starts, patterns, skip []string) error {
	w, err := newWalk(root, patterns, skip)
	if err != nil {
		return err
	}
	for _, start := range starts {
		if err := w.from(start); err != nil {
			return err
		}
	}
	w.print(out)
	return nil
}

// printUses writes the uses between the files of one package, with those of methods, those in
// circles first.
func (s *house) printUses(w io.Writer, folder string) {
	names, list := arrowsOf(s.packages[folder], false), arrowsOf(s.packages[folder], true)
	isCircular := func(a arrow) bool { return a.circular }
	fmt.Fprintf(w, "%s: %d uses of names between files, of which %d run in a circle\n", folder, len(names), count(names, isCircular))
	fmt.Fprintf(w, "%s: with methods %d, of which %d\n", folder, len(list), count(list, isCircular))
	for _, circular := range []bool{true, false} {
		for _, a := range list {
			if a.circular == circular {
				fmt.Fprintf(w, "  %s%s → %s (%s)\n", map[bool]string{true: "circle: "}[circular], a.from, a.to, a.by)
			}
		}
	}
}

func count[T any](list []T, is func(T) bool) (n int) {
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}

// print writes the figures, one a line.
func (s *house) print(w io.Writer) {
	row := func(name string, v ...any) { fmt.Fprintf(w, "%-44s %s\n", name, fmt.Sprint(v...)) }
	row("directories at the top", s.top)
	row("packages", len(s.packages))
	row("files", len(s.files), ": ", spread(s.files))
	row("functions", len(s.functions), ": ", spread(s.functions))
	row("functions over 60 lines", over(s.functions, 60))
	row("files over 300 lines", over(s.files, 300))
	row("lines of code", s.code)
	row("comment lines in seven lines", fmt.Sprintf("%.2f", 7*float64(s.comments)/float64(max(s.code+s.comments, 1))))
	row("comment lines over 100 columns", s.wideComments)
	row("code lines over 100 columns", s.wideCode)
	row("exported names outside internal", s.exported)
	row("type names with more than one meaning", len(s.doubles()))
	uses, circular := s.arrows()
	row("uses between files of a package", uses)
	row("of which run in a circle", circular)
	for _, name := range s.doubles() {
		fmt.Fprintf(w, "  %s: %v\n", name, s.types[name])
	}
	for _, f := range slices.SortedFunc(slices.Values(s.functions), longest)[:min(5, len(s.functions))] {
		fmt.Fprintf(w, "  %d lines: %s\n", f.lines, f.name)
	}
}

func longest(a, b length) int { return cmp.Or(b.lines-a.lines, cmp.Compare(a.name, b.name)) }

// spread tells the median, the ninetieth of a hundred, and the longest.
func spread(list []length) string {
	if len(list) == 0 {
		return "none"
	}
	sorted := slices.SortedFunc(slices.Values(list), func(a, b length) int { return a.lines - b.lines })
	at := func(part float64) int { return sorted[int(part*float64(len(sorted)-1))].lines }
	return fmt.Sprintf("median %d, 90th %d, longest %d lines", at(0.5), at(0.9), at(1))
}

func over(list []length, most int) int {
	return count(list, func(l length) bool { return l.lines > most })
}

// top counts the folders at the top that git would keep.
func topFolders(root string) (n int, err error) {
	list, err := os.ReadDir(root)
	for _, e := range list {
		if e.IsDir() && e.Name()[0] != '.' && e.Name() != "bin" && hasFiles(filepath.Join(root, e.Name())) {
			n++
		}
	}
	return n, err
}

func hasFiles(folder string) bool {
	list, _ := os.ReadDir(folder)
	return len(list) > 0
}
