package console

import (
	"net/http"

	"github.com/grantor-auth/grantor/scopes"
)

// scopeRow is a scope as the admin API shows it.
type scopeRow struct {
	Scope       string   `json:"scope"`
	Description string   `json:"description"`
	Resource    string   `json:"resource"`
	Implies     []string `json:"implies"`
	Clients     int      `json:"clients"`
	Some        []string `json:"some_clients"`
	Readers     int      `json:"introspecting_clients"`
	SomeReaders []string `json:"some_introspecting_clients"`
}

// Unreadable says that no client can introspect the tokens of the scope. Grantor itself reads its
// own.
func (s scopeRow) Unreadable() bool { return s.Readers == 0 && !scopes.IsReserved(s.Scope) }

// Reserved says whether the scope gives power over Grantor.
func (s scopeRow) Reserved() bool { return scopes.IsReserved(s.Scope) }

type scopeList struct {
	Scopes   []scopeRow `json:"scopes"`
	Clients  int        `json:"clients"`  // that were looked at
	Complete bool       `json:"complete"` // there are no others
}

func (c *Console) scopes(v *visit) error {
	var list scopeList
	if err := c.ask(v, http.MethodGet, "/admin/v1/scopes", nil, &list); err != nil {
		return err
	}
	c.show(v, "scopes", http.StatusOK, "Scopes", list)
	return nil
}

// knownScopes is the list without who may have them.
func (c *Console) knownScopes(v *visit) (list scopeList, err error) {
	err = c.ask(v, http.MethodGet, "/admin/v1/scopes?clients=false", nil, &list)
	return list, err
}

// allowed returns the scopes that the text of a client's scope allows by itself.
func (l scopeList) allowed(text string) (rows []scopeRow) {
	rules, err := scopes.ParseRules(text)
	if err != nil {
		return nil
	}
	for _, s := range l.Scopes {
		if rules.Allows(s.Scope) {
			rows = append(rows, s)
		}
	}
	return rows
}
