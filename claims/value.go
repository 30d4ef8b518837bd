package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// maxWhole is the largest whole number that every JSON reader takes exactly (RFC 8259 §6).
const maxWhole = 1<<53 - 1

// canonical returns a JSON value as Grantor writes it: without blanks, members of objects sorted.
func canonical(value []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("is not JSON")
	}
	return appendValue(nil, v, 0)
}

func appendValue(b []byte, value any, depth int) (_ []byte, err error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("lists and objects may be %d deep; this value is deeper", maxDepth)
	}
	switch v := value.(type) {
	case string:
		return jsonobject.AppendText(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case json.Number:
		return append(b, v...), checkNumber(v.String())
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, element, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsonobject.AppendText(b, name), ':')
			if b, err = appendValue(b, v[name], depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, errors.New("null inside a list or an object says nothing; leave it out")
}

// checkNumber refuses a number that readers would take for another one.
func checkNumber(text string) error {
	number, err := strconv.ParseFloat(text, 64)
	whole := !strings.ContainsAny(text, ".eE")
	if err != nil || math.IsInf(number, 0) || whole && math.Abs(number) > maxWhole {
		return fmt.Errorf("a number must be between -%d and %d, or many readers change it; write it as a text",
			int64(maxWhole), int64(maxWhole))
	}
	return nil
}
