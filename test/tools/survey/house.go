package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// house is what was measured. Tests, test data and folders that only test and measure are left out.
type house struct {
	top                                              int
	packages                                         map[string][]*file // by folder
	files, functions                                 []length
	code, comments, wideCode, wideComments, exported int
	types                                            map[string][]string // the folders that declare a type of this name
}

type length struct {
	name  string
	lines int
}

// file is one file of a package: the names that it declares at its top, its unexported methods, the
// names that it uses, and those that it uses behind a dot.
type file struct {
	name                              string
	declares, methods, uses, selected map[string]bool
}

// left are folders that a user's program never runs.
var left = []string{"bench", "conformance", "faults", "tools", "test", "integration_test", "examples", "python", "testdata", ".git", "bin"}

func survey(root string) (*house, error) {
	h := &house{packages: map[string][]*file{}, types: map[string][]string{}}
	var err error
	if h.top, err = topFolders(root); err != nil {
		return nil, err
	}
	return h, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && slices.Contains(left, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return h.read(root, path)
	})
}

func (h *house) read(root, path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- the caller's own folder
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return err
	}
	name, _ := filepath.Rel(root, path)
	h.lines(name, string(text))
	h.declarations(set, tree, name)
	return nil
}

// lines counts a file's lines by kind.
func (h *house) lines(name, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
		wide := utf8.RuneCountInString(line) > 100
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "":
		case strings.HasPrefix(trimmed, "//"):
			h.comments++
			if wide {
				h.wideComments++
			}
		default:
			h.code++
			if wide {
				h.wideCode++
			}
		}
	}
	h.files = append(h.files, length{name, n})
}

func (h *house) declarations(set *token.FileSet, tree *ast.File, name string) {
	folder := filepath.Dir(name)
	f := &file{name: name, declares: map[string]bool{}, methods: map[string]bool{}, uses: map[string]bool{}, selected: map[string]bool{}}
	h.packages[folder] = append(h.packages[folder], f)
	public := !strings.Contains(folder+"/", "internal/") && tree.Name.Name != "main"
	declare := func(n string) {
		f.declares[n] = true
		if public && ast.IsExported(n) {
			h.exported++
		}
	}
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			h.functions = append(h.functions, length{name + ":" + d.Name.Name, set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1})
			switch {
			case d.Recv == nil:
				declare(d.Name.Name)
			case !ast.IsExported(d.Name.Name):
				f.methods[d.Name.Name] = true
			case public:
				h.exported++
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				h.spec(s, folder, declare)
			}
		}
	}
	f.findUses(tree)
}

// findUses notes the names of a tree. Behind a dot stands a field, a method or another package's
// name: nothing at a file's top.
func (f *file) findUses(tree ast.Node) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			f.selected[n.Sel.Name] = true
			f.findUses(n.X)
			return false
		case *ast.Ident:
			if !f.declares[n.Name] && n.Name != "_" {
				f.uses[n.Name] = true
			}
		}
		return true
	})
}

func (h *house) spec(s ast.Spec, folder string, declare func(string)) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		declare(s.Name.Name)
		key := strings.ToLower(s.Name.Name)
		if !slices.Contains(h.types[key], folder) {
			h.types[key] = append(h.types[key], folder)
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			declare(n.Name)
		}
	}
}

// doubles are type names that more than one package declares. Config, Error, Store and Redis are
// said with their package.
func (h *house) doubles() (list []string) {
	said := []string{"config", "error", "store", "redis", "memory", "server", "options"}
	for name, folders := range h.types {
		if len(folders) > 1 && !slices.Contains(said, name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// arrow is a use from one file of a package to another. It is circular when the other needs the one
// as well, also by others.
type arrow struct {
	from, to, by string // by: the first name that is used
	circular     bool
}

// arrows counts uses from one file of a package to another, and those that are part of a circle.
func (h *house) arrows() (uses, circular int) {
	for _, files := range h.packages {
		for _, a := range arrowsOf(files, false) {
			uses++
			if a.circular {
				circular++
			}
		}
	}
	return uses, circular
}

// arrowsOf lists the uses between files; methods: those of methods too.
func arrowsOf(files []*file, methods bool) (list []arrow) {
	declared := map[string]int{}
	for _, f := range files {
		for name := range f.methods {
			declared[name]++
		}
	}
	use := func(a, b *file) string {
		for _, name := range slices.Sorted(maps.Keys(b.declares)) {
			if a.uses[name] {
				return name
			}
		}
		for _, name := range slices.Sorted(maps.Keys(b.methods)) {
			if methods && declared[name] == 1 && a.selected[name] { // of two files nobody knows which is meant
				return "." + name
			}
		}
		return ""
	}
	to := map[*file][]*file{}
	for _, a := range files {
		for _, b := range files {
			if a != b && use(a, b) != "" {
				to[a] = append(to[a], b)
			}
		}
	}
	for _, a := range files {
		for _, b := range to[a] {
			list = append(list, arrow{a.name, b.name, use(a, b), reaches(to, b, a, map[*file]bool{})})
		}
	}
	return list
}

func reaches(to map[*file][]*file, from, goal *file, seen map[*file]bool) bool {
	if from == goal {
		return true
	}
	seen[from] = true
	for _, next := range to[from] {
		if !seen[next] && reaches(to, next, goal, seen) {
			return true
		}
	}
	return false
}
