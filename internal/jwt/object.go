package jwt

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"time"
	"unicode/utf8"
)

// object is one JSON object, its members as they were written. Names are case-sensitive and unique (RFC 7515 §4,
// RFC 7519 §4): a parser that takes the first and one that takes the last would read two different tokens.
type object map[string]json.RawMessage

// parseObject reads exactly one JSON object.
func parseObject(text []byte) (object, error) {
	if !utf8.Valid(text) {
		return nil, Malformed
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, Malformed
	}
	o := object{}
	for d.More() {
		if err := o.member(d); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, Malformed
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, Malformed
	}
	return o, nil
}

// member reads the next name and value.
func (o object) member(d *json.Decoder) error {
	name, err := d.Token()
	key, ok := name.(string)
	if err != nil || !ok {
		return Malformed
	}
	if _, twice := o[key]; twice {
		return Malformed
	}
	var value json.RawMessage
	if d.Decode(&value) != nil {
		return Malformed
	}
	o[key] = value
	return nil
}

// text returns a member that is a string; "" when it is absent. null is no string.
func (o object) text(name string) (string, error) {
	raw, ok := o[name]
	if !ok {
		return "", nil
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", Malformed
	}
	return *s, nil
}

// texts returns a member that is one string or a list of strings (RFC 7519 §4.1.3); nil when it is absent.
func (o object) texts(name string) ([]string, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	if one, err := o.text(name); err == nil {
		return []string{one}, nil
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, Malformed
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, Malformed
		}
		out[i] = *s
	}
	return out, nil
}

// maxDate is the end of the year 9999, in seconds since 1970.
const maxDate = 253402300799

// date returns a member that is a NumericDate (RFC 7519 §2); zero when it is absent.
func (o object) date(name string) (time.Time, error) {
	raw, ok := o[name]
	if !ok {
		return time.Time{}, nil
	}
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || *seconds < 0 || *seconds > maxDate {
		return time.Time{}, Malformed
	}
	whole, part := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}
