package parts

import (
	"github.com/grantor-auth/grantor/claims/hook"
	"github.com/grantor-auth/grantor/config"
)

// ClaimsHook returns what [hooks.claims] names; nil: nothing.
func ClaimsHook(cfg *config.Config) (*hook.Claims, error) {
	h := cfg.Hooks.Claims
	if h.URL == "" {
		return nil, nil //nolint:nilnil // no hook is a value
	}
	made, err := hook.New(hook.Config{URL: h.URL, Secret: string(h.Secret), Timeout: h.Timeout})
	if err != nil {
		return nil, ConfigError{err}
	}
	return made, nil
}
