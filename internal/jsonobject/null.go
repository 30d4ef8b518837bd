package jsonobject

import "encoding/json"

// NullInList says whether a list inside a JSON value has null for an element. encoding/json reads
// such an element as a zero value: {"contacts": [null]} would be a contact without a name. A
// member that is null counts as absent, and is none.
func NullInList(text []byte) bool {
	var v any
	return json.Unmarshal(text, &v) == nil && nullInList(v)
}

func nullInList(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			if element == nil || nullInList(element) {
				return true
			}
		}
	case map[string]any:
		for _, member := range v {
			if nullInList(member) {
				return true
			}
		}
	}
	return false
}
