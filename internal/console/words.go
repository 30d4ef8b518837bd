package console

import (
	"github.com/grantor-auth/grantor/clients"
)

// confirmation is a form that ends something: it says what, and wants a name to be typed.
type confirmation struct {
	CSRF, Action, Do, Name string
	Label, Ends, Button    string
	Hidden                 map[string]string
}

func newConfirmation(csrf, action, do, name, label, ends, button string, hidden map[string]string) confirmation {
	return confirmation{csrf, action, do, name, label, ends, button, hidden}
}

// hidden turns pairs of name and value into fields of a form.
func hidden(pairs ...string) map[string]string {
	fields := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		fields[pairs[i]] = pairs[i+1]
	}
	return fields
}

// kindOf says in a word what a client is.
func kindOf(d *clients.Described) string {
	switch {
	case d.Resource != "" || d.Introspect == clients.SightAny:
		return "API"
	case d.Method == clients.MethodNone:
		return "App"
	case len(d.Grants) == 0:
		return "No grant"
	}
	for _, g := range d.Grants {
		if g == clients.GrantPassword {
			return "App with a secret"
		}
	}
	return "Machine"
}

// sourceOf says where a client is written down.
func sourceOf(source string) string {
	switch source {
	case "config":
		return "configuration"
	case "dynamic":
		return "registered itself"
	}
	return "registry"
}

// lasts writes a lifetime, "" where the server's holds.
func lasts(d clients.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
