package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/nearest"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	secretType   = reflect.TypeFor[SecretText]()

	clientDurationType = reflect.TypeFor[clients.Duration]()
	textType           = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType           = reflect.TypeFor[json.Unmarshaler]()
)

// decoder fills a Config from files and environment and collects what is wrong.
type decoder struct {
	cfg      *Config
	problems Errors
	where    map[string]*tomlFile // key → the file that set it
	unread   []string             // keys whose text could not be read: nothing follows from their values
	passed   []string             // warnings of keys that are passed over
	inline   []string             // keys of secrets that stand in a file of the configuration itself
}

func (d *decoder) bad(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for k := key; k != ""; k = parent(k) {
		if f, ok := d.where[k]; ok {
			d.problems = append(d.problems, f.problem(key, text))
			return
		}
		if o := d.cfg.origin[k]; outside(o) {
			d.problems = append(d.problems, Problem{Key: o, Text: text, of: key})
			return
		}
	}
	d.problems = append(d.problems, Problem{Key: key, Text: text, of: key})
}

// outside says whether an origin is a variable or a flag.
func outside(origin string) bool {
	return strings.HasPrefix(origin, variablePrefix) || strings.HasPrefix(origin, "--")
}

// clash is bad for values that do not fit together: the place is that of the first that a
// variable or flag set, which the file knows nothing of; otherwise that of the first.
func (d *decoder) clash(keys []string, format string, args ...any) {
	key := keys[0]
	if i := slices.IndexFunc(keys, func(k string) bool { return outside(d.cfg.origin[k]) }); i >= 0 {
		key = keys[i]
	}
	d.bad(key, format, args...)
}

// table fills a struct from a TOML table.
func (d *decoder) table(dst reflect.Value, src map[string]any, path string, f *tomlFile) {
	known := keysOf(dst.Type())
	for _, name := range sortedKeys(src) {
		key := join(path, name)
		field, isFile, ok := fieldFor(dst, name)
		if !ok {
			text := "there is no such key"
			if n := nearest.Name(name, known); n != "" {
				text += fmt.Sprintf("; did you mean %q?", n)
			}
			d.problems = append(d.problems, f.problem(key, text))
			continue
		}
		if old, twice := d.where[key]; twice && old != f && field.Kind() != reflect.Struct && field.Kind() != reflect.Map && !isTables(field.Type()) {
			d.problems = append(d.problems, f.problem(key, fmt.Sprintf("is set in %s as well; one file only", old.name)))
			continue
		}
		d.where[key] = f
		d.cfg.origin[strings.TrimSuffix(key, fileSuffix(isFile))] = f.name
		if isFile {
			d.secretFile(field, src[name], key)
			continue
		}
		d.value(field, src[name], key, f)
	}
}

func fileSuffix(isFile bool) string {
	if isFile {
		return "_file"
	}
	return ""
}

// value fills one field from one TOML value.
func (d *decoder) value(dst reflect.Value, src any, key string, f *tomlFile) {
	switch {
	case dst.Kind() == reflect.Pointer:
		d.pointer(dst, src, key, f)
	case isText(dst.Type()):
		text, ok := src.(string)
		if !ok {
			d.bad(key, "must be %s, not %s", want(dst.Type()), kindOf(src))
			return
		}
		if dst.Type() == secretType && text != "" {
			d.inline = append(d.inline, key)
		}
		d.text(dst, text, key)
	case dst.Type() == timeType:
		d.time(dst, src, key)
	case reflect.PointerTo(dst.Type()).Implements(jsonType):
		d.json(dst, src, key)
	case dst.Kind() == reflect.Struct:
		if t, ok := src.(map[string]any); ok {
			d.table(dst, t, key, f)
			return
		}
		d.bad(key, "must be a table, not %s", kindOf(src))
	case dst.Kind() == reflect.Bool:
		if b, ok := src.(bool); ok {
			dst.SetBool(b)
			return
		}
		d.bad(key, "must be true or false, not %s", kindOf(src))
	case dst.Kind() == reflect.Int:
		if n, ok := src.(int64); ok {
			dst.SetInt(n)
			return
		}
		d.bad(key, "must be a whole number, not %s", kindOf(src))
	case dst.Kind() == reflect.Slice:
		d.list(dst, src, key, f)
	case dst.Kind() == reflect.Map:
		d.mapping(dst, src, key, f)
	case dst.Kind() == reflect.Interface: // any value of TOML; validation says which may stand here
		dst.Set(reflect.ValueOf(src))
	}
}

// isText says whether a field is written as a text in quotes.
func isText(t reflect.Type) bool {
	return t == durationType || t.Kind() == reflect.String || t != timeType && reflect.PointerTo(t).Implements(textType)
}

// pointer fills what may be absent: an empty text or table leaves it so.
func (d *decoder) pointer(dst reflect.Value, src any, key string, f *tomlFile) {
	table, _ := src.(map[string]any)
	if src == "" || table != nil && len(table) == 0 {
		return
	}
	into, before := reflect.New(dst.Type().Elem()), len(d.problems)
	if d.value(into.Elem(), src, key, f); len(d.problems) == before {
		dst.Set(into)
	}
}

// json fills what reads itself from JSON.
func (d *decoder) json(dst reflect.Value, src any, key string) {
	table, ok := src.(map[string]any)
	if !ok {
		d.bad(key, "must be a table, not %s", kindOf(src))
		return
	}
	text, err := json.Marshal(table)
	if err == nil {
		err = dst.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text)
	}
	if err != nil {
		d.unreadable(key, err)
	}
}

// unreadable says that a text is none of its kind.
func (d *decoder) unreadable(key string, err error) {
	d.unread = append(d.unread, key)
	d.bad(key, "%s", err)
}

func (d *decoder) list(dst reflect.Value, src any, key string, f *tomlFile) {
	items, ok := src.([]any)
	if !ok {
		d.bad(key, "must be %s, not %s", want(dst.Type()), kindOf(src))
		return
	}
	offset := 0
	if isTables(dst.Type()) {
		offset = dst.Len() // files add up
	} else {
		dst.SetZero()
	}
	if len(items) == 0 && strings.HasPrefix(key, "clients[") {
		dst.Set(reflect.MakeSlice(dst.Type(), 0, 0)) // allowed_networks = [] is no absent list
	}
	for i, item := range items {
		element := reflect.New(dst.Type().Elem()).Elem()
		d.where[fmt.Sprintf("%s[%d]", key, offset+i)] = f
		if offset > 0 { // places in a file count from its own first entry
			f.alias(fmt.Sprintf("%s[%d]", key, offset+i), fmt.Sprintf("%s[%d]", key, i))
		}
		d.value(element, item, fmt.Sprintf("%s[%d]", key, offset+i), f)
		dst.Set(reflect.Append(dst, element))
	}
}

// alias lets keys below one name be found where those below another stand.
func (f *tomlFile) alias(name, real string) {
	for _, k := range sortedKeys(f.places) {
		if rest, ok := strings.CutPrefix(k, real); ok && (rest == "" || rest[0] == '.') {
			f.places[name+rest] = f.places[k]
		}
	}
}

func (d *decoder) mapping(dst reflect.Value, src any, key string, f *tomlFile) {
	t, ok := src.(map[string]any)
	if !ok {
		d.bad(key, "must be a table, not %s", kindOf(src))
		return
	}
	if dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	for _, name := range sortedKeys(t) {
		entry := join(key, name)
		if old, twice := d.where[entry]; twice && old != f {
			d.problems = append(d.problems, f.problem(entry, fmt.Sprintf("is set in %s as well; one file only", old.name)))
			continue
		}
		d.where[entry] = f
		element := reflect.New(dst.Type().Elem()).Elem()
		d.value(element, t[name], entry, f)
		dst.SetMapIndex(reflect.ValueOf(name), element)
	}
}
