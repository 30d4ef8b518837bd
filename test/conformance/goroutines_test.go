package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ownGoroutines are the goroutines that no background.Group owns, by function: each ends with what
// it serves, and a panic in one ends the process, or is caught and told where that is said.
var ownGoroutines = map[string]string{
	"audit (*Sink).runAlone":           "of tests and of programs that embed the server without a group; ends at Close",
	"background (*Group).Go":           "the owner itself",
	"background once":                  "waited for by the owner",
	"cli (*stopper).listen":            "awaits signals until the command ends",
	"cli Program.serveGate":            "waited for",
	"cli Program.completing":           "waited for, for a second; then the process ends",
	"cli Program.serve":                "the node's group owns it",
	"doctor (*subject).begin":          "a check, awaited for its time; the command ends then",
	"doctor (*subject).close":          "closes Redis behind checks that hang; the command ends then",
	"gate (*Gate).Serve":               "listeners: the end of one ends Serve",
	"cli serveUntil":                   "a listener: its end ends the command",
	"http1 (*conn).watch":              "sees whether a peer hangs up, until its request is answered",
	"http1 (*Server).accept":           "connections: each ends at a stop",
	"http1 (*Server).Serve":            "net/http for what is handed on: its end ends Serve",
	"jwt (*Fetcher).run":               "one fetch; its panic is an error of the fetch",
	"middleware (*Follower).begin":     "polls until Close; its panic is an error of the poll",
	"node listeners.serve":             "listeners: the end of one ends Run",
	"redisdb (*breaker).spawn":         "waits for replicas until enough confirm a write",
	"redisdb (*breaker).trip":          "asks a silent Redis for a sign of life, until it answers",
	"redisdb (*DB).AskSentinels":       "waited for",
	"redisdb (*sentinelGroup).askEach": "waited for",
	"redisdb (*pipeline).enqueue":      "works while commands wait",
	"redisdb sweepIdle":                "waited for",
	"tokens NewMemory":                 "sweeps the memory store until Close",
	"tokens/feed (*Reader).follow":     "waited for",
	"tokens (*Redis).issueApart":       "waited for",
	"tokens (*editionRound).do":        "waited for",
	"examples/embed run":               "stops at a signal",
	"examples/machine/go main":         "waited for",
	"examples/orders-api run":          "stops at a signal",
}

// goroutines returns the functions of a file that begin goroutines: by go, or by a method Go of
// anything but a background group.
func goroutines(t *testing.T, name string) (list []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	require.NoError(t, err)
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			_, begins := n.(*ast.GoStmt)
			if call, ok := n.(*ast.CallExpr); ok {
				s, ok := call.Fun.(*ast.SelectorExpr)
				begins = ok && (s.Sel.Name == "Go" || s.Sel.Name == "TryGo") && !ofGroup(s.X)
			}
			if begins {
				list = append(list, receiver(f)+f.Name.Name)
			}
			return true
		})
	}
	return list
}

// ofGroup says whether an expression ends in a field named background: a Group by the house's
// custom.
func ofGroup(x ast.Expr) bool {
	s, ok := x.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "background"
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
		return "(*" + star.X.(*ast.Ident).Name + ")."
	}
	return f.Recv.List[0].Type.(*ast.Ident).Name + "."
}

func TestGoroutinesHaveAnOwner(t *testing.T) {
	seen := map[string]bool{}
	require.NoError(t, filepath.WalkDir("../..", func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		room, _ := filepath.Rel("../..", filepath.Dir(name))
		room = strings.TrimPrefix(room, "internal/")
		if e.IsDir() && (e.Name() == "bench" || e.Name() == "tools" || e.Name() == "storetest" || e.Name() == "redistest" || e.Name() == "processtest" || e.Name() == "node_modules") {
			return filepath.SkipDir // no part of the server
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		for _, f := range goroutines(t, name) {
			f = room + " " + f
			require.NotEmpty(t, ownGoroutines[f], "%s: %s begins a goroutine that nobody watches: let a background.Group own it", name, f)
			seen[f] = true
		}
		return nil
	}))
	for f := range ownGoroutines {
		require.True(t, seen[f], "%s begins no goroutine: strike it from the list", f)
	}
}
