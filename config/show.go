package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

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
			for _, k := range sortedKeys(c.Scopes) {
				fmt.Fprintf(b, "%s = %s\n", strconv.Quote(k), inline(field.MapIndex(reflect.ValueOf(k))))
			}
		case reflect.Slice:
			for j := range field.Len() {
				fmt.Fprintf(b, "\n[[%s]]\n", key)
				showEntry(b, field.Index(j))
			}
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
	case *clients.Workload:
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

func (c *Config) origins(key string) string {
	if o := c.origin[key]; o != "" {
		return "  # " + o
	}
	return "  # default"
}
