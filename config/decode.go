package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/grantor-auth/grantor/clients"
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
			if n := nearest(name, known); n != "" {
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

// text fills a field from a text, as the file and the environment give it.
func (d *decoder) text(dst reflect.Value, text, key string) {
	switch {
	case dst.Type() == durationType:
		v, err := ParseDuration(text)
		if err != nil {
			d.bad(key, "%s", err)
			return
		}
		dst.SetInt(int64(v))
	case dst.Type() == timeType:
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			d.bad(key, "must be a time such as 2026-11-23T00:00:00Z")
			return
		}
		dst.Set(reflect.ValueOf(v))
	case dst.Kind() == reflect.String:
		dst.SetString(text)
	case reflect.PointerTo(dst.Type()).Implements(textType):
		if err := dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			d.unreadable(key, err)
		}
	case dst.Kind() == reflect.Bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			d.bad(key, "must be true or false")
			return
		}
		dst.SetBool(v)
	case dst.Kind() == reflect.Int:
		v, err := strconv.Atoi(text)
		if err != nil {
			d.bad(key, "must be a whole number")
			return
		}
		dst.SetInt(int64(v))
	case dst.Kind() == reflect.Slice:
		dst.SetZero()
		for part := range strings.SplitSeq(text, ",") {
			element := reflect.New(dst.Type().Elem()).Elem()
			element.SetString(strings.TrimSpace(part))
			dst.Set(reflect.Append(dst, element))
		}
	}
}

func (d *decoder) time(dst reflect.Value, src any, key string) {
	switch v := src.(type) {
	case time.Time:
		dst.Set(reflect.ValueOf(v))
	case toml.LocalDate, toml.LocalDateTime:
		d.bad(key, "must have a time zone, as in 2027-01-01T00:00:00Z")
	default:
		d.bad(key, "must be a time such as 2027-01-01T00:00:00Z, not %s", kindOf(src))
	}
}

// secretFile reads a SecretText from the file that k_file names.
func (d *decoder) secretFile(dst reflect.Value, src any, key string) {
	name, ok := src.(string)
	switch {
	case !ok:
		d.bad(key, "must be a file name, not %s", kindOf(src))
		return
	case name == "":
		return
	case dst.String() != "":
		d.bad(key, "and %s are both set: use one", strings.TrimSuffix(key, "_file"))
		return
	}
	d.cfg.SecretFiles = append(d.cfg.SecretFiles, name)
	text, err := os.ReadFile(name)
	if err != nil {
		d.bad(key, "the file cannot be read")
		return
	}
	if text, err = WithoutBOM(text); err != nil {
		d.bad(key, "the file %s", err)
		return
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		d.bad(key, "the file is empty")
		return
	}
	dst.SetString(secret)
}

// ParseDuration reads Go's durations and whole days: "15m", "30d".
func ParseDuration(text string) (time.Duration, error) {
	v, err := clients.ParseDuration(text)
	return time.Duration(v), err
}
