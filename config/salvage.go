package config

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// salvageTurns bounds how many broken lines are passed over.
const salvageTurns = 20

// salvage reads what it can of a text whose syntax is wrong: it passes over the lines that cannot
// be read, and over the whole table where the line is a header. Nothing is ever put in force from
// it: it lets a command find Redis. It returns what was read, and the mistakes; where it cannot
// read the rest, the first alone, which then concerns the whole file.
func (f *tomlFile) salvage(text []byte, err error) (rest []byte, problems Errors) {
	f.broken = true
	lines := bytes.SplitAfter(bytes.Clone(text), []byte("\n"))
	for range salvageTurns {
		p := Problem{File: f.name, Text: strings.TrimPrefix(err.Error(), "toml: ")}
		if de, ok := errors.AsType[*toml.DecodeError](err); ok {
			p.Line, p.Column = de.Position()
		}
		problems = append(problems, p)
		if p.Line < 1 || p.Line > len(lines) {
			break
		}
		problems[len(problems)-1].of = pass(lines, p.Line-1)
		rest = bytes.Join(lines, nil)
		values := map[string]any{}
		if err = toml.Unmarshal(rest, &values); err == nil {
			f.values = values
			return rest, problems
		}
	}
	problems[0].of = ""
	f.values = map[string]any{}
	return nil, problems[:1]
}

// pass empties a line, and the table below it where it is a header. It returns the key or table
// that the line is about.
func pass(lines [][]byte, at int) string {
	header := func(line []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(line), []byte("[")) }
	line := strings.TrimSpace(string(lines[at]))
	empty := func(i int) { lines[i] = []byte(strings.Repeat("\n", bytes.Count(lines[i], []byte("\n")))) }
	if header(lines[at]) {
		for i := at; i < len(lines) && (i == at || !header(lines[i])); i++ {
			empty(i)
		}
		return name(line)
	}
	empty(at)
	table := ""
	for i := at; i >= 0 && table == ""; i-- {
		if header(lines[i]) {
			table = name(strings.TrimSpace(string(lines[i])))
		}
	}
	key, _, assigned := strings.Cut(line, "=")
	switch {
	case !assigned && table == "":
		return "?" // a line of no key
	case !assigned:
		return table
	}
	return join(table, strings.Trim(strings.TrimSpace(key), `"'`))
}

// name is that of a header, which may be cut off.
func name(header string) string {
	header, _, _ = strings.Cut(strings.TrimLeft(header, "["), "]")
	return strings.TrimSpace(header)
}
