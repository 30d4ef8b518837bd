package users

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grantor-auth/grantor/claims"
)

// checkClaimColumns says whether columns may become claims.
func checkClaimColumns(names []string) error {
	for i, name := range names {
		if err := claims.CheckName(name); err != nil {
			return fmt.Errorf("claims_columns: %w", err)
		}
		same := func(other string) bool { return strings.EqualFold(other, name) }
		if slices.Contains(sqlColumns(), strings.ToLower(name)) || slices.ContainsFunc(names[:i], same) {
			return fmt.Errorf("claims_columns: %q is the name of another column; write AS in the queries to rename", name)
		}
	}
	return nil
}

// jsonColumns names the columns whose type is json or jsonb, in lower case. It must be called
// before the rows are read.
func (d *SQL) jsonColumns(rows *sql.Rows) map[string]bool {
	if len(d.cfg.ClaimColumns) == 0 {
		return nil
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil // their texts are texts then
	}
	found := map[string]bool{}
	for _, c := range types {
		if kind := strings.ToUpper(c.DatabaseTypeName()); kind == "JSON" || kind == "JSONB" {
			found[strings.ToLower(c.Name())] = true
		}
	}
	return found
}

// ownClaims returns the claims that the columns hold.
func (r *sqlRow) ownClaims(isJSON map[string]bool) (claims.Set, error) {
	values := map[string]any{}
	for _, name := range r.claimNames {
		column := strings.ToLower(name)
		value, err := claimValue(*r.claims[column], isJSON[column])
		if err != nil {
			return claims.Set{}, unusable("column %q: %w", name, err)
		}
		if value != nil {
			values[name] = value
		}
	}
	own, err := claims.New(values)
	if err != nil {
		return claims.Set{}, unusable("claims_columns: %w", err)
	}
	return own, nil
}

// claimValue is a value of a column as a claim says it; nil for NULL.
func claimValue(v any, isJSON bool) (any, error) {
	switch v := v.(type) {
	case []byte:
		return claimText(string(v), isJSON)
	case string:
		return claimText(v, isJSON)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case nil, bool, int64, uint64, float32, float64:
		return v, nil
	}
	return nil, fmt.Errorf("a %T can be no claim; CAST it to text in the query", v)
}

func claimText(text string, isJSON bool) (any, error) {
	switch {
	case !utf8.ValidString(text):
		return nil, errors.New("holds bytes that are no text; CAST it in the query")
	case isJSON && json.Valid([]byte(text)):
		return json.RawMessage(text), nil
	}
	return text, nil
}
