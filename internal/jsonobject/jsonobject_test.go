package jsonobject_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

func TestObject(t *testing.T) {
	text := make(jsonobject.Object, 0, 64).Text("a", "b\"\\\n<é\x7f").TextOr("no", "").TextOr("yes", "x").Number("n", -7).Truth("t", true).
		List("none", nil).List("l", []string{"1", "2"}).Close()
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got), string(text))
	require.Equal(t, "{}", string(jsonobject.Object(nil).TextOr("no", "").Close()))
	require.Equal(t, map[string]any{"a": "b\"\\\n<é\x7f", "yes": "x", "n": -7.0, "t": true, "l": []any{"1", "2"}}, got)
}

func TestTextsThatDoNotShowThemselves(t *testing.T) {
	require.Equal(t, `"\u202eé\u007f"`, string(jsonobject.AppendText(nil, "\u202eé\x7f")))
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"", "\\u0000", "\x00", "é", "\xff", "</script>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		require.NoError(t, json.Unmarshal(jsonobject.AppendText(nil, text), &got))
		if utf8.ValidString(text) {
			require.Equal(t, text, got)
		}
	})
}

func TestNullInList(t *testing.T) {
	for text, there := range map[string]bool{`{"contacts":[null]}`: true, `[{"a":["b",[null]]}]`: true, `{"a":{"b":[1,null]}}`: true,
		`{"contacts":null}`: false, `{"a":[]}`: false, `[{"a":null}]`: false, `{`: false, `null`: false} {
		require.Equal(t, there, jsonobject.NullInList([]byte(text)), text)
	}
}
