package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/grantor-auth/grantor"

// Source is the code of the binary and of package middleware, with its types.
type Source struct {
	Root     string // of the repository
	fset     *token.FileSet
	packages []*sourcePackage
}

// sourcePackage is one package of the module.
type sourcePackage struct {
	path  string // below the module
	files []*ast.File
	types *types.Package
	info  *types.Info
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// Load reads and checks the packages of the module that the binary consists of.
func Load(root string) (*Source, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	c := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles", ".", "./middleware")
	c.Dir = root
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.String())
	}
	exports := map[string]string{}
	var own []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			own = append(own, p)
		}
	}
	s := &Source{Root: root, fset: token.NewFileSet()}
	compiled := importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range own {
		if err := s.add(p, compiled); err != nil {
			return nil, fmt.Errorf("%s: %w", p.ImportPath, err)
		}
	}
	return s, nil
}

// add parses and checks one package.
func (s *Source) add(p listed, compiled types.Importer) error {
	added := &sourcePackage{path: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"),
		info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
			Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(s.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		added.files = append(added.files, file)
	}
	var err error
	added.types, err = (&types.Config{Importer: compiled}).Check(p.ImportPath, s.fset, added.files, added.info)
	s.packages = append(s.packages, added)
	return err
}

// inspect calls visit for each node of each package.
func (s *Source) inspect(visit func(p *sourcePackage, n ast.Node)) {
	for _, p := range s.packages {
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				if n != nil {
					visit(p, n)
				}
				return true
			})
		}
	}
}

// at is the place of a node, for messages.
func (s *Source) at(n ast.Node) string {
	where := s.fset.Position(n.Pos())
	name, err := filepath.Rel(s.Root, where.Filename)
	if err != nil {
		name = where.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(name), where.Line)
}
