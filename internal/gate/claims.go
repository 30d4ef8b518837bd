package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/middleware"
)

// checkClaims says whether claims may be sent to APIs.
func checkClaims(names []string) error {
	for i, name := range names {
		if err := claims.CheckName(name); err != nil {
			return fmt.Errorf("gate: %w", err)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("gate: claim %q is named twice", name)
		}
	}
	return nil
}

// chosenClaims returns the claims of a token that the API is told, as a JSON object; "" for none.
func (g *Gate) chosenClaims(t *middleware.Token) (string, error) {
	if len(g.cfg.Claims) == 0 || len(t.Claims) == 0 {
		return "", nil
	}
	chosen := make(map[string]any, len(g.cfg.Claims))
	for _, name := range g.cfg.Claims {
		if value, there := t.Claims[name]; there {
			chosen[name] = value
		}
	}
	if len(chosen) == 0 {
		return "", nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(chosen); err != nil {
		return "", fmt.Errorf("the claims of this token cannot be written: %w", err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
	if len(text) > claims.MaxBytes { // of another server's token: proxies bound what headers may hold
		return "", fmt.Errorf("the claims of this token are %d bytes of JSON, and a header carries at most %d; choose fewer by --claims",
			len(text), claims.MaxBytes)
	}
	return string(text), nil
}
