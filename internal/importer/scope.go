package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/scopes"
)

// MissingScopesError: clients have scopes that config.toml does not have.
type MissingScopesError struct{ Scopes []string }

func (e *MissingScopesError) Error() string {
	var lines strings.Builder
	for _, s := range e.Scopes {
		fmt.Fprintf(&lines, "\n%q = { description = \"…\" }", s)
	}
	return "scopes that config.toml lacks: add these lines below [scopes], or leave scopes out with --leave-out-scope:" + lines.String()
}

// protocolScopes ask for what Grantor does not serve, or for what needs no scope here: OpenID
// Connect, refresh tokens, and Keycloak's own.
func protocolScopes() []string {
	return []string{"openid", "offline", "offline_access", "profile", "email", "address", "phone", "roles", "web-origins", "acr", "basic",
		"microprofile-jwt", "organization", "service_account", "role_list", "saml_organization"}
}

// missing collects scopes of all items.
type missing map[string]bool

// scope returns which of the names a client gets.
func (i *Item) scope(names []string, o Options, lack missing) []string {
	var kept []string
	for _, name := range names {
		switch {
		case slices.Contains(kept, name):
		case slices.Contains(o.LeaveOut, name):
			i.leaveOut("scope "+name, true)
		case o.Catalogue.Has(name) || isWildcard(name):
			kept = append(kept, name)
		case slices.Contains(protocolScopes(), name):
			i.leaveOut("scope "+name, true)
		default:
			lack[name] = true
		}
	}
	return kept
}

func isWildcard(name string) bool {
	_, err := scopes.ParseRules(name)
	return err == nil && strings.HasSuffix(name, ":*")
}

func (m missing) err() error {
	if len(m) == 0 {
		return nil
	}
	return &MissingScopesError{slices.Sorted(maps.Keys(m))}
}

// lacking says which of the scopes that Options name for every client are missing.
func (o Options) lacking() error {
	lack := missing{}
	new(Item).scope(strings.Fields(o.Scope+" "+o.DefaultScope), Options{Catalogue: o.Catalogue}, lack)
	return lack.err()
}

// given sets the scopes that Options name for every client.
func (i *Item) given(o Options) { i.Client.Scope, i.Client.DefaultScope = o.Scope, o.DefaultScope }
