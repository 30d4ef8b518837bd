package config

import (
	"encoding"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/grantor-auth/grantor/clients"
)

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
