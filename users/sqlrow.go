package users

import (
	"database/sql"
	"errors"
	"strings"
)

// sqlRow is one row as the database returned it: everything as text, whatever its type.
type sqlRow struct {
	id, username, password, scope sql.NullString
	active                        any
	claims                        map[string]*any // by column, in lower case
	claimNames                    []string
}

// newSQLRow returns a row that is active where the query does not say.
func newSQLRow(claimNames []string) *sqlRow {
	r := &sqlRow{active: true, claimNames: claimNames, claims: map[string]*any{}}
	for _, name := range claimNames {
		r.claims[strings.ToLower(name)] = new(any)
	}
	return r
}

// targets returns where each column goes.
func (r *sqlRow) targets(columns []string) []any {
	targets := make([]any, len(columns))
	for i, c := range columns {
		if claim, is := r.claims[c]; is {
			targets[i] = claim
			continue
		}
		targets[i] = map[string]any{
			"id": &r.id, "username": &r.username, "password": &r.password, "scope": &r.scope, "is_active": &r.active,
		}[c]
	}
	return targets
}

// user reads the row. isJSON names the columns whose type is json or jsonb.
func (r *sqlRow) user(isJSON map[string]bool) (*User, error) {
	if err := CheckSubject(r.id.String); err != nil {
		return nil, unusable("id: %w", err)
	}
	if err := checkTyped("username", r.username.String, MaxNameBytes); err != nil {
		return nil, unusable("%w", err)
	}
	active, err := truth(r.active)
	if err != nil {
		return nil, unusable("is_active: %w", err)
	}
	var own *string
	if r.scope.Valid {
		own = &r.scope.String
	}
	scope, err := readScope(own)
	if err != nil {
		return nil, err
	}
	custom, err := r.ownClaims(isJSON)
	if err != nil {
		return nil, err
	}
	return &User{
		ID: r.id.String, Username: r.username.String, Scope: scope, Claims: custom, Disabled: !active,
		// A CHAR(n) column pads; no form of hash ends in a space. NULL is "", which refuses.
		Credential: Credential{strings.TrimRight(r.password.String, " ")},
	}, nil
}

// truth reads a boolean of any database: a bool, a number, a bit or a word. NULL is false.
func truth(v any) (bool, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case int64:
		return v != 0, nil
	case []byte:
		return word(string(v))
	case string:
		return word(v)
	}
	return false, errors.New("is no boolean")
}

func word(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "t", "true", "y", "yes", "\x01":
		return true, nil
	case "", "0", "f", "false", "n", "no", "\x00":
		return false, nil
	}
	return false, errors.New("is no boolean")
}
