package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/nearest"
)

const variablePrefix = "GRANTOR_"

// exempt says which GRANTOR_ names are no keys: what commands and tests read themselves, and
// what Kubernetes sets for a service called grantor.
func exempt(name, value string) bool {
	switch name {
	case "GRANTOR_CONFIG", "GRANTOR_CLIENT_ID", "GRANTOR_CLIENT_SECRET":
		return true
	}
	return strings.HasPrefix(name, "GRANTOR_TEST_") || strings.HasPrefix(name, "GRANTOR_SERVICE_") || serviceLink(name, value)
}

// serviceLink says whether Kubernetes sets such a variable for a service called grantor or
// grantor-…, as it does in every pod of the namespace: GRANTOR_ADMIN_PORT=tcp://…. No key has such
// a name: two underscores divide its levels.
func serviceLink(name, value string) bool {
	parts := strings.Split(strings.TrimPrefix(name, variablePrefix), "_")
	at := func(i int) string { // from the end
		if i > len(parts) {
			return ""
		}
		return parts[len(parts)-i]
	}
	protocol := func(text string) bool { return text == "TCP" || text == "UDP" || text == "SCTP" }
	switch service := slices.Index(parts, "SERVICE"); {
	case slices.Contains(parts, ""):
		return false
	case service >= 0 && service+1 < len(parts) && (parts[service+1] == "HOST" && service+2 == len(parts) || parts[service+1] == "PORT"):
		return true
	case at(1) == "PORT" && strings.Contains(value, "://"):
		return true
	case protocol(at(1)) && isNumber(at(2)) && at(3) == "PORT":
		return true
	}
	return slices.Contains([]string{"PROTO", "PORT", "ADDR"}, at(1)) && protocol(at(2)) && isNumber(at(3)) && at(4) == "PORT"
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// variables maps the name of each variable to the key and field that it sets.
func variables(v reflect.Value, path, name string, found map[string]variable) {
	for i := range v.NumField() {
		tag := keyName(v.Type().Field(i))
		if tag == "" || tag == "include" {
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

// keyOf turns the name of a variable into that of the key that it would set.
func keyOf(name string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, variablePrefix), "__", "."))
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
			if n := nearest.Name(name, names); n != "" {
				text += "; did you mean " + n + "?"
			}
			d.problems = append(d.problems, Problem{Key: name, Text: text, of: keyOf(name)})
			continue
		}
		if other, twice := set[v.key]; twice {
			d.problems = append(d.problems, Problem{Key: name, Text: "and " + other + " are both set: use one", of: v.key})
			continue
		}
		set[v.key] = name
		maps.DeleteFunc(d.where, func(k string, _ *tomlFile) bool { // the file's value and its elements are no more
			return k == v.key || k == v.key+"_file" || strings.HasPrefix(k, v.key+"[")
		})
		d.cfg.origin[v.key] = name
		if v.isFile {
			v.field.SetString("")
			d.secretFile(v.field, value, v.key)
			continue
		}
		d.text(v.field, value, v.key)
	}
}
