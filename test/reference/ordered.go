package reference

import (
	"bytes"
	"encoding/json"
)

// member is a member of a JSON object, at its place in the file.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of a JSON object in the order of the file; nil of anything else.
func members(object json.RawMessage) (list []member) {
	d := json.NewDecoder(bytes.NewReader(object))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		m := member{name: name.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil
		}
		list = append(list, m)
	}
	return list
}

// get returns a member of a member … of an object; nil: there is none.
func get(object json.RawMessage, names ...string) json.RawMessage {
	for _, name := range names {
		var found json.RawMessage
		for _, m := range members(object) {
			if m.name == name {
				found = m.value
			}
		}
		object = found
	}
	return object
}

// textOf returns a text below an object; "": there is none.
func textOf(object json.RawMessage, names ...string) (text string) {
	_ = json.Unmarshal(get(object, names...), &text)
	return text
}

// listOf returns a list below an object.
func listOf[T any](object json.RawMessage, names ...string) (list []T) {
	_ = json.Unmarshal(get(object, names...), &list)
	return list
}
