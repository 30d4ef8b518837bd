package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// Show returns what is in force, as TOML: every key, its value and where it came from. Secrets and
// hashes are masked.
func (c *Config) Show() string {
	var b strings.Builder
	c.show(&b, reflect.ValueOf(c).Elem(), "")
	return b.String()
}

// show writes scalars first, then tables, as TOML wants them.
func (c *Config) show(b *strings.Builder, v reflect.Value, path string) {
	var tables []int
	for i := range v.NumField() {
		tag := keyName(v.Type().Field(i))
		field := v.Field(i)
		switch {
		case tag == "":
		case field.Type() == timeType && field.IsZero():
			fmt.Fprintf(b, "# %s is not set\n", tag)
		case field.Kind() == reflect.Map || isTables(field.Type()) || field.Kind() == reflect.Struct && field.Type() != timeType:
			tables = append(tables, i)
		default:
			fmt.Fprintf(b, "%s = %s%s\n", tag, literal(field, tag), c.origins(join(path, tag)))
		}
	}
	for _, i := range tables {
		key := join(path, keyName(v.Type().Field(i)))
		field := v.Field(i)
		switch field.Kind() {
		case reflect.Struct:
			fmt.Fprintf(b, "\n[%s]\n", key)
			c.show(b, field, key)
		case reflect.Map:
			fmt.Fprintf(b, "\n[%s]\n", key)
			showMap(b, field)
		case reflect.Slice:
			for j := range field.Len() {
				fmt.Fprintf(b, "\n[[%s]]\n", key)
				showEntry(b, field.Index(j))
			}
		}
	}
}

// showMap writes a table whose keys are free: [scopes] or [metadata.extra].
func showMap(b *strings.Builder, v reflect.Value) {
	switch m := v.Interface().(type) {
	case map[string]ScopeEntry:
		for _, k := range sortedKeys(m) {
			fmt.Fprintf(b, "%s = %s\n", strconv.Quote(k), inline(reflect.ValueOf(m[k])))
		}
	case map[string]any:
		for _, k := range sortedKeys(m) {
			fmt.Fprintf(b, "%s = %s\n", strconv.Quote(k), tomlValue(m[k]))
		}
	}
}

// showEntry writes an entry of an array of tables without its absent keys.
func showEntry(b *strings.Builder, v reflect.Value) {
	for i := range v.NumField() {
		tag, field := keyName(v.Type().Field(i)), v.Field(i)
		if tag == "" || field.IsZero() {
			continue
		}
		if !isTables(field.Type()) {
			fmt.Fprintf(b, "%s = %s\n", tag, literal(field, tag))
			continue
		}
		entries := make([]string, field.Len())
		for j := range entries {
			entries[j] = inline(field.Index(j))
		}
		fmt.Fprintf(b, "%s = [%s]\n", tag, strings.Join(entries, ", "))
	}
}

func inline(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		if tag := keyName(v.Type().Field(i)); tag != "" && !v.Field(i).IsZero() {
			parts = append(parts, tag+" = "+literal(v.Field(i), tag))
		}
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func literal(v reflect.Value, tag string) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return strconv.Quote(clients.Duration(x).String())
	case time.Time:
		return x.Format(time.RFC3339)
	case SecretText:
		return strconv.Quote(x.String())
	case []string:
		quoted := make([]string, len(x))
		for i, s := range x {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case []SecretText:
		quoted := make([]string, len(x))
		for i, s := range x {
			quoted[i] = strconv.Quote(s.String())
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *jwt.KeySet:
		return fmt.Sprintf("%q", fmt.Sprintf("[%d keys]", x.Len()))
	case claims.Set:
		return inlineClaims(x)
	case *clients.Workload, *clients.ExchangePolicy:
		return inline(v.Elem())
	case clients.Duration:
		return strconv.Quote(x.String())
	case *clients.Duration:
		return strconv.Quote(x.String())
	}
	switch {
	case strings.Contains(tag, "hash"):
		return `"[set]"`
	case v.Kind() == reflect.String:
		return strconv.Quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// inlineClaims writes claims as an inline table.
func inlineClaims(s claims.Set) string {
	var parts []string
	values := s.Map()
	for _, name := range sortedKeys(values) {
		parts = append(parts, strconv.Quote(name)+" = "+tomlValue(values[name]))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// tomlValue writes a value of a claim, or of [metadata.extra].
func tomlValue(value any) string {
	var parts []string
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		for _, element := range v {
			parts = append(parts, tomlValue(element))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		for _, name := range sortedKeys(v) {
			parts = append(parts, strconv.Quote(name)+" = "+tomlValue(v[name]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func (c *Config) origins(key string) string {
	if o := c.origin[key]; o != "" {
		return "  # " + o
	}
	return "  # default"
}
