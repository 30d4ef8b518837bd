package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/grantor-auth/grantor/claims"
)

// claimChange is what --claim says, of a client or of a user. Claims that it does not name stay.
type claimChange struct {
	said    []string // as typed
	set     claims.Set
	removed []string
}

const claimUsage = "a custom claim of its tokens: tenant_id=t-7 is a text, level:=3 is JSON, tenant_id= removes the claim; may be repeated"

func (c *claimChange) flag(f *pflag.FlagSet) { f.StringArrayVar(&c.said, "claim", nil, claimUsage) }

// read takes apart what was typed.
func (c *claimChange) read() error {
	values := map[string]any{}
	for _, text := range c.said {
		name, value, found := strings.Cut(text, "=")
		written, isJSON := strings.CutSuffix(name, ":")
		if isJSON {
			name = written
		}
		_, twice := values[name]
		switch {
		case !found:
			return usageError{fmt.Errorf("--claim: %q has no =; write tenant_id=t-7, or level:=3 for JSON", text)}
		case twice || slices.Contains(c.removed, name):
			return usageError{fmt.Errorf("--claim: %q is given twice", name)}
		case value == "":
			c.removed = append(c.removed, name)
		case isJSON && !json.Valid([]byte(value)):
			return usageError{fmt.Errorf("--claim: what follows %s:= is not JSON; write %s=… for a text", name, name)}
		case isJSON:
			values[name] = json.RawMessage(value)
		default:
			values[name] = value
		}
	}
	var err error
	if c.set, err = claims.New(values); err != nil {
		return usageError{fmt.Errorf("--claim: %w", err)}
	}
	return nil
}

// of returns the claims that somebody has after the change.
func (c *claimChange) of(had claims.Set) claims.Set {
	return had.With(c.set).Filter(func(name string) bool { return !slices.Contains(c.removed, name) })
}
