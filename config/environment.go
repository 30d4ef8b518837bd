package config

import (
	"reflect"
	"strings"
)

const variablePrefix = "GRANTOR_"

// exempt says which GRANTOR_ names are no keys: what commands and tests read themselves, and
// what Kubernetes sets for a service called grantor.
func exempt(name, value string) bool {
	switch name {
	case "GRANTOR_CONFIG", "GRANTOR_CLIENT_ID", "GRANTOR_CLIENT_SECRET":
		return true
	}
	return strings.HasPrefix(name, "GRANTOR_TEST_") || strings.HasPrefix(name, "GRANTOR_SERVICE_") ||
		strings.HasPrefix(name, "GRANTOR_PORT") && (name != "GRANTOR_PORT" || strings.Contains(value, "://"))
}

// variables maps the name of each variable to the key and field that it sets.
func variables(v reflect.Value, path, name string, found map[string]variable) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("toml")
		if tag == "" || tag == "-" || tag == "include" {
			continue
		}
		field, key, full := v.Field(i), join(path, tag), name+strings.ToUpper(tag)
		switch {
		case field.Kind() == reflect.Struct && field.Type() != timeType:
			variables(field, key, full+"__", found)
		case field.Kind() == reflect.Map || isTables(field.Type()):
		default:
			found[full] = variable{key, field, false}
			if field.Type() == secretType {
				found[full+"_FILE"] = variable{key, field, true}
			}
		}
	}
}

type variable struct {
	key    string
	field  reflect.Value
	isFile bool
}

// environment lays variables over what the files said. Empty ones count as unset.
func (d *decoder) environment(environ []string) {
	known := map[string]variable{}
	variables(reflect.ValueOf(d.cfg).Elem(), "", variablePrefix, known)
	names := sortedKeys(known)
	set := map[string]string{} // key → the variable that set it
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || value == "" || exempt(name, value) {
			continue
		}
		v, ok := known[name]
		if !ok {
			text := "no key has this variable"
			if n := nearest(name, names); n != "" {
				text += "; did you mean " + n + "?"
			}
			d.problems = append(d.problems, Problem{Key: name, Text: text})
			continue
		}
		if other, twice := set[v.key]; twice {
			d.problems = append(d.problems, Problem{Key: name, Text: "stands beside " + other + "; use one"})
			continue
		}
		set[v.key] = name
		delete(d.where, v.key)
		delete(d.where, v.key+"_file")
		d.cfg.origin[v.key] = name
		if v.isFile {
			v.field.SetString("")
			d.secretFile(v.field, value, v.key)
			continue
		}
		d.text(v.field, value, v.key)
	}
}
