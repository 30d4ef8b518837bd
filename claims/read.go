package claims

import (
	"encoding/json"
	"slices"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Values returns members that a verified token has beyond the registered ones, as encoding/json
// reads them; nil: it has none. Any issuer's claims are taken, not Grantor's alone.
func Values(others jsonobject.Members) map[string]any {
	if len(others) == 0 {
		return nil
	}
	values := make(map[string]any, len(others))
	for name, text := range others.All() {
		var value any
		if json.Unmarshal(text, &value) == nil {
			values[string(name)] = value
		}
	}
	return values
}

// Clone returns values that share nothing with those given.
func Clone(values map[string]any) map[string]any {
	if values == nil {
		return nil
	}
	clone := make(map[string]any, len(values))
	for name, value := range values {
		clone[name] = cloneValue(value)
	}
	return clone
}

func cloneValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return Clone(v)
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = cloneValue(list[i])
		}
		return list
	}
	return value
}
