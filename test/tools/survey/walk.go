package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// walk is the way of a request through the files of some packages: the rooms.
//
// A room is a file whose functions are called, by the types and not by a run: depth first, in the
// order of the source, each function once; a function that is only named counts as called, and a
// call by an interface of these packages goes to each implementation but the callers, wrappers
// first. A climb is a pair of rooms where the later calls the earlier, which the reader had left.
type walk struct {
	functions map[string]*function // by full name
	types     []*types.Named       // what may implement an interface
	skip      []string             // names of types that the request does not pass

	rooms  []string
	climbs []climb
	seen   map[string]bool // functions
	path   []string        // functions from the start to the one that is read
}

type function struct {
	body *ast.BlockStmt
	info *types.Info
	file string
}

type climb struct {
	from, to, by string // by: the first function that is called
	waiting      bool   // the earlier room waits for the later's answer
}

// newWalk loads the packages that the patterns name, as the go command in a folder sees them.
func newWalk(root string, patterns, skip []string) (*walk, error) {
	mode := packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
		packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo
	list, err := packages.Load(&packages.Config{Mode: mode, Dir: root}, patterns...)
	if err != nil {
		return nil, err
	}
	slices.Reverse(list) // who imports stands before what is imported: outer implementations first
	w := &walk{functions: map[string]*function{}, seen: map[string]bool{}, skip: skip}
	for _, p := range list {
		for _, wrong := range p.Errors {
			err = errors.Join(err, wrong)
		}
		for _, tree := range p.Syntax {
			w.declare(p, tree)
		}
		for _, name := range p.Types.Scope().Names() {
			if named, ok := p.Types.Scope().Lookup(name).Type().(*types.Named); ok && !slices.Contains(skip, name) {
				w.types = append(w.types, named)
			}
		}
	}
	slices.SortStableFunc(w.types, func(a, b *types.Named) int { return wraps(b) - wraps(a) })
	return w, err
}

// wraps is 1 for a struct that embeds an interface: what passes calls on.
func wraps(t *types.Named) int {
	s, ok := t.Underlying().(*types.Struct)
	for i := 0; ok && i < s.NumFields(); i++ {
		if s.Field(i).Embedded() && types.IsInterface(s.Field(i).Type()) {
			return 1
		}
	}
	return 0
}

func (w *walk) declare(p *packages.Package, tree *ast.File) {
	path := p.Fset.Position(tree.Package).Filename
	file := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		if declared, ok := p.TypesInfo.Defs[f.Name].(*types.Func); ok {
			w.functions[declared.FullName()] = &function{f.Body, p.TypesInfo, file}
		}
	}
}

// from walks from a function that is written like server.(*Server).token. Where another module's
// code calls back, the function that it calls is one more start.
func (w *walk) from(start string) error {
	for _, name := range slices.Sorted(maps.Keys(w.functions)) {
		if short(name) == start {
			w.visit(name)
			return nil
		}
	}
	return fmt.Errorf("no function %s in these packages; write it as server.(*Server).token", start)
}

// short writes (*example.org/a/server.Server).token as server.(*Server).token.
func short(full string) string {
	full = full[strings.LastIndex(full, "/")+1:]
	full = strings.TrimPrefix(strings.TrimPrefix(full, "("), "*")
	receiver, method, ok := strings.Cut(full, ").")
	if !ok {
		return full
	}
	p, t, _ := strings.Cut(receiver, ".")
	return p + ".(*" + t + ")." + method
}

func (w *walk) visit(name string) {
	w.seen[name] = true
	w.path = append(w.path, name)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	f := w.functions[name]
	if !slices.Contains(w.rooms, f.file) {
		w.rooms = append(w.rooms, f.file)
	}
	ast.Inspect(f.body, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		if called, ok := f.info.Uses[id].(*types.Func); ok {
			for _, next := range w.targets(called) {
				w.call(f, next)
			}
		}
		return true
	})
}

// call notes a climb, or goes on in a function that was not yet seen.
func (w *walk) call(f *function, name string) {
	to := w.functions[name].file
	if earlier := slices.Index(w.rooms, to); earlier >= 0 && earlier < slices.Index(w.rooms, f.file) {
		w.climb(f.file, to, name)
	}
	if !w.seen[name] {
		w.visit(name)
	}
}

// climb notes a pair of rooms once. It waits if the earlier room waits at any of the calls.
func (w *walk) climb(from, to, name string) {
	i := slices.IndexFunc(w.climbs, func(c climb) bool { return c.from == from && c.to == to })
	if i < 0 {
		i = len(w.climbs)
		w.climbs = append(w.climbs, climb{from: from, to: to, by: short(name)})
	}
	waits := slices.ContainsFunc(w.path, func(n string) bool { return w.functions[n].file == to })
	w.climbs[i].waiting = w.climbs[i].waiting || waits
}

// targets are the functions of these packages that a call may reach.
func (w *walk) targets(called *types.Func) (list []string) {
	called = called.Origin()
	receiver := called.Signature().Recv()
	if receiver == nil || !types.IsInterface(receiver.Type()) {
		if w.functions[called.FullName()] != nil && !w.isSkipped(receiver) {
			list = append(list, called.FullName())
		}
		return list
	}
	return w.implementations(called, receiver.Type().Underlying().(*types.Interface)) //nolint:errcheck // IsInterface
}

// implementations are the methods behind a method of an interface of these packages.
func (w *walk) implementations(called *types.Func, asked *types.Interface) (list []string) {
	ours := func(t *types.Named) bool { return t.Obj().Pkg() == called.Pkg() }
	if called.Pkg() == nil || !slices.ContainsFunc(w.types, ours) {
		return nil
	}
	for _, t := range w.types {
		pointer := types.NewPointer(t)
		if types.IsInterface(t) || !types.Implements(pointer, asked) {
			continue
		}
		found, _, _ := types.LookupFieldOrMethod(pointer, true, called.Pkg(), called.Name())
		method, ok := found.(*types.Func)
		if ok && w.functions[method.FullName()] != nil && !slices.Contains(w.path, method.FullName()) {
			list = append(list, method.FullName())
		}
	}
	return list
}

func (w *walk) isSkipped(receiver *types.Var) bool {
	if receiver == nil {
		return false
	}
	t := receiver.Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := t.(*types.Named)
	return ok && slices.Contains(w.skip, named.Obj().Name())
}

func (w *walk) print(out io.Writer) {
	waiting := count(w.climbs, func(c climb) bool { return c.waiting })
	fmt.Fprintf(out, "%d rooms, %d climbs back (%d to a room that waits for the answer), %d functions\n",
		len(w.rooms), len(w.climbs), waiting, len(w.seen))
	for i, room := range w.rooms {
		fmt.Fprintf(out, "%4d %s\n", i+1, room)
	}
	for _, c := range w.climbs {
		fmt.Fprintf(out, "  climb: %s → %s (%s)\n", c.from, c.to, c.by)
	}
}
