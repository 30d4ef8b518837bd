package config

import (
	"reflect"
	"slices"
	"strings"
)

// keyName returns the name of a field in a file: its toml tag, or where it has none its json tag;
// "": it has no name.
func keyName(f reflect.StructField) string {
	name, tagged := f.Tag.Lookup("toml")
	if !tagged {
		name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	}
	if name == "-" {
		return ""
	}
	return name
}

// fieldFor finds the field of a key, or of a SecretText whose key_file it is.
func fieldFor(dst reflect.Value, name string) (field reflect.Value, isFile, ok bool) {
	for i := range dst.NumField() {
		tag := keyName(dst.Type().Field(i))
		if tag == "" {
			continue
		}
		if tag == name {
			return dst.Field(i), false, true
		}
		if tag+"_file" == name && dst.Field(i).Type() == secretType {
			return dst.Field(i), true, true
		}
	}
	return reflect.Value{}, false, false
}

func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		if tag := keyName(t.Field(i)); tag != "" {
			keys = append(keys, tag)
			if t.Field(i).Type == secretType {
				keys = append(keys, tag+"_file")
			}
		}
	}
	return keys
}

// isTables says whether a type is an array of tables.
func isTables(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

func want(t reflect.Type) string {
	switch {
	case t == durationType || t == clientDurationType:
		return `a duration in quotes, such as "15m"`
	case isTables(t):
		return "an array of tables"
	case t.Kind() == reflect.Slice:
		return `a list of texts, such as ["a", "b"]`
	}
	return "a text in quotes"
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case int64, float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a time"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
