package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlFile is one TOML file: its values, and where each key stands.
type tomlFile struct {
	name   string
	values map[string]any
	places map[string]place // dotted key with indexes → its place
	broken bool             // its syntax is wrong: values are those of the lines that can be read
}

type place struct{ line, column int }

// readFile parses one file. A mistake in its syntax is an Errors with its place.
func readFile(name string) (*tomlFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			err = pe.Err
		}
		return nil, Errors{{File: name, Text: "cannot be read: " + err.Error()}}
	}
	return parseFile(name, text)
}

// parseFile returns what can be read beside an error.
func parseFile(name string, text []byte) (*tomlFile, error) {
	f := &tomlFile{name: name, values: map[string]any{}, places: map[string]place{}}
	text, err := WithoutBOM(text)
	if err != nil {
		f.broken = true
		return f, Errors{{File: name, Text: err.Error()}}
	}
	if err := toml.Unmarshal(text, &f.values); err != nil {
		rest, problems := f.salvage(text, err)
		f.locate(rest)
		return f, problems
	}
	f.locate(text)
	return f, nil
}

// WithoutBOM cuts the mark that some editors write before UTF-8, and refuses those of other
// encodings.
func WithoutBOM(text []byte) ([]byte, error) {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return nil, errors.New("is UTF-16: save it as UTF-8")
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

// locate walks the syntax tree and notes where each key stands.
func (f *tomlFile) locate(text []byte) {
	var p unstable.Parser
	p.Reset(text)
	table, counts := "", map[string]int{}
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			key, at := f.key(&p, e.Key(), "", counts)
			if e.Kind == unstable.ArrayTable {
				counts[key]++
				key = fmt.Sprintf("%s[%d]", key, counts[key]-1)
			}
			table = key
			f.places[table] = at
		case unstable.KeyValue:
			f.keyValue(&p, e, table, counts)
		}
	}
}

func (f *tomlFile) keyValue(p *unstable.Parser, e *unstable.Node, table string, counts map[string]int) {
	key, at := f.key(p, e.Key(), table, counts)
	f.places[key] = at
	f.inside(p, e.Value(), key, counts)
}

// inside notes the keys of inline tables, alone or in arrays.
func (f *tomlFile) inside(p *unstable.Parser, v *unstable.Node, key string, counts map[string]int) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			f.keyValue(p, it.Node(), key, counts)
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			element := fmt.Sprintf("%s[%d]", key, i)
			f.places[element] = f.places[key]
			f.inside(p, it.Node(), element, counts)
		}
	}
}

// key joins the parts of a key behind its table; the last array table of a name is the one
// that is meant.
func (f *tomlFile) key(p *unstable.Parser, it unstable.Iterator, table string, counts map[string]int) (string, place) {
	key, at := table, place{}
	for first := true; it.Next(); first = false {
		n := it.Node()
		if first {
			start := p.Shape(n.Raw).Start
			at = place{start.Line, start.Column}
		} else if c := counts[key]; c > 0 && table == "" {
			key = fmt.Sprintf("%s[%d]", key, c-1)
		}
		key = join(key, string(n.Data))
	}
	return key, at
}

func join(key, part string) string {
	switch "" {
	case key:
		return part
	case part:
		return key
	}
	return key + "." + part
}

// readMain reads the main file, or what is built in where there is none.
func readMain(name string, builtIn []byte) (*tomlFile, error) {
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) && builtIn != nil {
		return parseFile("built-in config.toml", builtIn)
	}
	return readFile(name)
}

// readAll reads the main file and what it includes. It returns what can be read beside the
// mistakes.
func readAll(name string, builtIn []byte) ([]*tomlFile, Errors) {
	main, err := readMain(name, builtIn)
	if main == nil {
		return nil, asErrors(err)
	}
	return main.withIncluded(asErrors(err))
}

// withIncluded reads what the main file includes: arrays of tables add up, everything else may
// stand in one file only.
func (f *tomlFile) withIncluded(problems Errors) ([]*tomlFile, Errors) {
	files := []*tomlFile{f}
	patterns, _ := f.values["include"].([]any)
	for i, pattern := range patterns {
		text, ok := pattern.(string)
		if !ok {
			continue // the decoder says so
		}
		found, problem := f.expand(text, i)
		if problem != nil {
			problems = append(problems, *problem)
		}
		for _, path := range found {
			more, err := readFile(path)
			problems = append(problems, asErrors(err)...)
			if more == nil {
				continue
			}
			if _, nested := more.values["include"]; nested {
				problems = append(problems, more.problem("include", "an included file cannot include others; list them in "+f.name))
			}
			files = append(files, more)
		}
	}
	return files, problems
}

// expand finds the files of one include pattern, sorted.
func (f *tomlFile) expand(pattern string, index int) ([]string, *Problem) {
	path := beside(f.name, pattern)
	found, err := filepath.Glob(path)
	key := fmt.Sprintf("include[%d]", index)
	if err != nil {
		p := f.problem(key, "is not a file name or pattern")
		return nil, &p
	}
	if len(found) == 0 && !strings.ContainsAny(pattern, "*?[") {
		p := f.problem(key, fmt.Sprintf("there is no file %s", path))
		return nil, &p
	}
	slices.Sort(found)
	return found, nil
}

// beside takes a name relative to the folder of a file.
func beside(file, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(file), name)
}

func (f *tomlFile) problem(key, text string) Problem {
	p := Problem{File: f.name, Key: key, Text: text, of: key}
	for k := key; k != ""; k = parent(k) {
		if at, ok := f.places[k]; ok {
			p.Line, p.Column = at.line, at.column
			break
		}
	}
	return p
}

// parent cuts the last part of a key, which may hold quoted dots no more.
func parent(key string) string {
	if i := strings.LastIndexAny(key, ".["); i > 0 {
		return key[:i]
	}
	return ""
}

func asErrors(err error) Errors {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[Errors](err); ok {
		return e
	}
	return Errors{{Text: err.Error()}}
}
