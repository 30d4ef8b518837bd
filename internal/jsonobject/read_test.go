package jsonobject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// byDecoder reads an object member by member with encoding/json alone: what Read must agree with.
func byDecoder(text []byte) (map[string]string, error) {
	if !utf8.Valid(text) {
		return nil, ErrMalformed
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, ErrMalformed
	}
	members := map[string]string{}
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		_, twice := members[key]
		var value json.RawMessage
		if err != nil || !ok || twice || d.Decode(&value) != nil {
			return nil, ErrMalformed
		}
		members[key] = string(value)
	}
	if _, err := d.Token(); err != nil {
		return nil, ErrMalformed
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ErrMalformed
	}
	return members, nil
}

// byUnmarshal reads a member by encoding/json alone: what Text and Texts must agree with.
func byUnmarshal[T any](text string, valid func(T) bool) (v T, err error) {
	var p *T
	if json.Unmarshal([]byte(text), &p) != nil || p == nil || !valid(*p) {
		return v, ErrMalformed
	}
	return *p, nil
}

func always[T any](T) bool { return true }

func agrees(t *testing.T, text []byte) {
	t.Helper()
	want, wantErr := byDecoder(text)
	o, err := Read(text)
	if err != nil {
		require.Equal(t, ErrMalformed, err)
		require.Error(t, wantErr)
		return
	}
	require.NoError(t, wantErr)
	require.Len(t, o, len(want))
	for _, m := range o {
		name := string(m.name)
		require.Equal(t, want[name], string(m.value))
		agreesOnMember(t, o, name, want[name])
	}
}

func agreesOnMember(t *testing.T, o Members, name, value string) {
	t.Helper()
	one, err := o.Text(name)
	wantOne, wantErr := byUnmarshal(value, always[string])
	require.Equal(t, wantErr, err)
	require.Equal(t, wantOne, one)
	many, err := o.Texts(name)
	if wantErr == nil {
		require.Equal(t, []string{wantOne}, many)
	} else {
		wantMany, wantErr := byUnmarshal(value, func(list []*string) bool { return list != nil && !hasNil(list) })
		require.Equal(t, wantErr, err)
		require.Len(t, many, len(wantMany))
		for i := range wantMany {
			require.Equal(t, *wantMany[i], many[i])
		}
	}
}

func hasNil(list []*string) bool {
	for _, s := range list {
		if s == nil {
			return true
		}
	}
	return false
}

// FuzzObject: Read and the readers of its members see what encoding/json sees, and refuse what it
// refuses.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{}`, ` {"a":1 , "b":[ "x" ,"y\u0041" ] }` + "\n", `{"a":{"b":"}"},"c":"\\\""}`, `{"a":1,"\u0061":2}`, `{"a":1,}`, `{"a":[]}`,
		`{"a":[null]}`, `{"a":-0,"b":1e3,"c":1e999,"d":null}`, `{"a":"\ud800"}`, `{"a":1}{}`, `[]`, "\ufeff{}", `{"a":tru}`, `{"a" 1}`, `{"":""}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(agrees)
}

func TestObject(t *testing.T) {
	t.Run("RFC 7519 §4 a name that occurs twice is refused, however many members are between and however it is escaped", func(t *testing.T) {
		for _, n := range []int{0, 1, fewMembers - 2, fewMembers - 1, fewMembers, fewMembers + 1, 100} {
			var between strings.Builder
			for i := range n {
				fmt.Fprintf(&between, `"n%d":[{"x":1}],`, i)
			}
			agrees(t, []byte(`{"sub":"u",`+between.String()+`"z":1}`))
			for _, again := range []string{`"sub"`, `"s\u0075b"`} {
				_, err := Read([]byte(`{"sub":"u",` + between.String() + again + `:"admin"}`))
				require.ErrorIs(t, err, ErrMalformed)
			}
			if n > 0 {
				_, err := Read([]byte(`{"sub":"u",` + between.String() + fmt.Sprintf(`"n%d":1}`, n-1)))
				require.ErrorIs(t, err, ErrMalformed)
			}
		}
	})
	t.Run("V-21 many members cost linear time", func(t *testing.T) {
		var text strings.Builder
		for i := range 20_000 {
			fmt.Fprintf(&text, `,"%d":0`, i)
		}
		begun := time.Now()
		_, err := Read([]byte("{" + text.String()[1:] + "}"))
		require.NoError(t, err)
		require.Less(t, time.Since(begun), time.Second)
	})
	t.Run("deep nesting is refused", func(t *testing.T) {
		_, err := Read([]byte(`{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`))
		require.ErrorIs(t, err, ErrMalformed)
	})
}
