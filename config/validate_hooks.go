package config

import (
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims/hook"
)

// hooks checks that the hooks can be asked.
func (d *decoder) hooks() {
	h := d.cfg.Hooks.Claims
	if h.Timeout < 100*time.Millisecond || h.Timeout > 10*time.Second {
		d.bad("hooks.claims.timeout", `must be "100ms" to "10s": every login and refresh waits for the answer`)
	}
	if h.URL == "" {
		if h.Secret != "" {
			d.bad("hooks.claims.secret", "is used only with url")
		}
		return
	}
	if _, err := hook.New(hook.Config{URL: h.URL, Secret: string(h.Secret)}); err != nil {
		key := "hooks.claims.url"
		text, isSecret := strings.CutPrefix(err.Error(), "secret ")
		if isSecret {
			key = "hooks.claims.secret"
		}
		d.bad(key, "%s", strings.TrimPrefix(text, "url "))
	}
}
