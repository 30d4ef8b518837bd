// Package jsonobject writes JSON objects member by member, without reflection, and reads them
// strictly. Every object that Grantor writes by hand is written here: answers, claims, audit
// events. Other documents go through encoding/json.
package jsonobject

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/printable"
)

// Object is an object that is being written. Begin with make(jsonobject.Object, 0, size) and end
// with Close. Names of members are the program's own and are not escaped.
type Object []byte

// Name begins a member, whose value the caller appends.
func (o Object) Name(name string) Object {
	if len(o) == 0 {
		o = append(o, '{')
	} else {
		o = append(o, ',')
	}
	o = append(o, '"')
	o = append(o, name...)
	return append(o, '"', ':')
}

// Text adds a text.
func (o Object) Text(name, value string) Object { return AppendText(o.Name(name), value) }

// TextOr leaves out what is empty.
func (o Object) TextOr(name, value string) Object {
	if value == "" {
		return o
	}
	return o.Text(name, value)
}

// Number adds a whole number.
func (o Object) Number(name string, value int64) Object {
	return strconv.AppendInt(o.Name(name), value, 10)
}

// Truth adds true or false.
func (o Object) Truth(name string, value bool) Object {
	return strconv.AppendBool(o.Name(name), value)
}

// List leaves out what is empty.
func (o Object) List(name string, values []string) Object {
	if len(values) == 0 {
		return o
	}
	o = o.Name(name)
	for i, v := range values {
		o = append(o, "[,"[min(i, 1)])
		o = AppendText(o, v)
	}
	return append(o, ']')
}

// Close ends the object.
func (o Object) Close() []byte {
	if len(o) == 0 {
		return append(o, '{', '}')
	}
	return append(o, '}')
}

// plain says for each byte whether it is written as it is: printable ASCII that neither JSON nor
// HTML gives a meaning.
var plain = func() (p [256]bool) {
	for c := ' '; c <= '~'; c++ {
		p[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return p
}()

// AppendText writes a text as JSON. Printable ASCII, which nearly all is, is copied. Of the rest,
// only characters that show themselves stand unescaped; see printable.JSON.
func AppendText(b []byte, text string) []byte {
	for i := range len(text) {
		if !plain[text[i]] {
			quoted, err := json.Marshal(text)
			if err != nil {
				return append(b, `""`...)
			}
			return append(b, printable.JSON(quoted)...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}
