package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"unicode/utf8"
)

// ErrMalformed is the error for a text that is not exactly one JSON object with unique names, and
// for a member of another type. It quotes nothing of the text.
var ErrMalformed = errors.New("not a JSON object with unique names and members of the right types")

// Members is one JSON object that was read, its values as they were written. Names are
// case-sensitive and unique (RFC 7515 §4, RFC 7519 §4): a parser that takes the first of two and
// a parser that takes the last would read two different tokens.
type Members []member

type member struct {
	name  []byte // what the name says; without escapes a part of the parsed text
	value []byte // a part of the parsed text
}

// fewMembers is how many names are compared one by one; beyond, a map finds duplicates in linear
// time.
const fewMembers = 16

// Read reads exactly one JSON object. encoding/json judges the grammar; the loop takes apart what
// passed.
func Read(text []byte) (Members, error) {
	text = trimSpace(text)
	if len(text) == 0 || text[0] != '{' || !utf8.Valid(text) || !json.Valid(text) {
		return nil, ErrMalformed
	}
	o := make(Members, 0, min(fewMembers, 1+bytes.Count(text, []byte(","))))
	var many map[string]bool
	for rest := trimSpace(text[1:]); rest[0] != '}'; {
		m, after := cutMember(rest)
		if len(o) == fewMembers {
			many = o.names()
		}
		if many == nil && o.Has(string(m.name)) || many[string(m.name)] {
			return nil, ErrMalformed
		}
		if many != nil {
			many[string(m.name)] = true
		}
		o, rest = append(o, m), after
	}
	return o, nil
}

func (o Members) names() map[string]bool {
	names := make(map[string]bool, 4*len(o))
	for _, m := range o {
		names[string(m.name)] = true
	}
	return names
}

// cutMember cuts the first name and value, with the comma behind them, off the rest of a valid
// object.
func cutMember(rest []byte) (member, []byte) {
	end := valueEnd(rest)
	m := member{name: unescape(rest[:end])}
	m.value, rest = cutValue(trimSpace(rest[end:])[1:]) // behind the colon
	return m, rest
}

// cutValue cuts the first value, with the comma behind it, off the rest of a valid object or list.
func cutValue(rest []byte) (value, after []byte) {
	rest = trimSpace(rest)
	end := valueEnd(rest)
	value, rest = rest[:end], trimSpace(rest[end:])
	if rest[0] == ',' {
		rest = trimSpace(rest[1:])
	}
	return value, rest
}

// valueEnd returns where the value ends with which a valid text begins.
func valueEnd(text []byte) int {
	switch text[0] {
	case '"':
		return stringEnd(text)
	case '{', '[':
		return nestedEnd(text)
	}
	return bytes.IndexAny(text, ",]} \t\r\n")
}

func stringEnd(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++ // what an escape stands for is of no matter here
		}
	}
}

func nestedEnd(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// trimSpace cuts the white space of JSON off the front (RFC 8259 §2).
func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\n' || text[0] == '\t' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// unescape returns what a valid JSON string says: a part of it where nothing is escaped.
func unescape(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return []byte(s)
}

// unquote returns a copy of what a valid JSON string says.
func unquote(quoted []byte) string { return string(unescape(quoted)) }

// Get returns a member's value as it was written.
func (o Members) Get(name string) ([]byte, bool) {
	for i := range o {
		if string(o[i].name) == name {
			return o[i].value, true
		}
	}
	return nil, false
}

// All yields the names, and the values as they were written. Both are parts of the parsed text.
func (o Members) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range o {
			if !yield(o[i].name, o[i].value) {
				return
			}
		}
	}
}

// Others returns the members whose names are not known. Without any it allocates nothing.
func (o Members) Others(known func(name []byte) bool) (others Members) {
	for _, m := range o {
		if !known(m.name) {
			others = append(others, m)
		}
	}
	return others
}

// OthersIn is Others of a text that encoding/json has read as an object. Of two members with one
// name both are returned, in order.
func OthersIn(text []byte, known func(name []byte) bool) (others Members) {
	text = trimSpace(text)
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	for rest := trimSpace(text[1:]); rest[0] != '}'; {
		var m member
		if m, rest = cutMember(rest); !known(m.name) {
			others = append(others, m)
		}
	}
	return others
}

// Has says whether there is a member of this name.
func (o Members) Has(name string) bool {
	_, ok := o.Get(name)
	return ok
}

// Text returns a member that is a string; "" when it is absent. null is no string.
func (o Members) Text(name string) (string, error) {
	value, ok := o.Get(name)
	switch {
	case !ok:
		return "", nil
	case value[0] != '"':
		return "", ErrMalformed
	}
	return unquote(value), nil
}

// Only says whether there are no members but these.
func (o Members) Only(names ...string) bool {
	for i := range o {
		if !slices.ContainsFunc(names, func(name string) bool { return string(o[i].name) == name }) {
			return false
		}
	}
	return true
}

// Texts returns a member that is one string or a list of strings (RFC 7519 §4.1.3); nil when it
// is absent.
func (o Members) Texts(name string) ([]string, error) {
	value, ok := o.Get(name)
	switch {
	case !ok:
		return nil, nil
	case value[0] == '"':
		return []string{unquote(value)}, nil
	case value[0] != '[':
		return nil, ErrMalformed
	}
	list := []string{}
	for rest := trimSpace(value[1:]); rest[0] != ']'; {
		var one []byte
		if one, rest = cutValue(rest); one[0] != '"' {
			return nil, ErrMalformed
		}
		list = append(list, unquote(one))
	}
	return list, nil
}
