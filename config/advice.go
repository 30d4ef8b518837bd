package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
)

// longRefresh is from when on a refresh token lasts long: a thief need not hurry.
const longRefresh = 24 * time.Hour

// Advice is what could be safer, in a sentence each. It is for config check alone: nothing of it is
// a mistake.
func (c *Config) Advice() (list []string) {
	if names := c.unboundApps(); len(names) > 0 {
		who := "the public client " + names[0] + " has"
		if len(names) > 1 {
			who = "the public clients " + strings.Join(names, ", ") + " have"
		}
		list = append(list, who+" refresh tokens that last longer than a day and need no key: "+
			"set dpop_bound_access_tokens = true once the app sends DPoP proofs (RFC 9449)")
	}
	return list
}

// unboundApps are the public clients with long refresh tokens that need neither a key nor a
// certificate. The demo's are for this machine alone.
func (c *Config) unboundApps() (names []string) {
	for _, cl := range c.clients {
		idle := c.Tokens.RefreshTTL
		if cl.RefreshTTL > 0 {
			idle = time.Duration(cl.RefreshTTL)
		}
		if cl.Public() && !cl.Demo && !cl.Disabled && cl.MayUse(clients.GrantRefreshToken) && idle > longRefresh && !cl.DPoPBound && !cl.CertificateBound {
			names = append(names, strconv.Quote(cl.ID))
		}
	}
	slices.Sort(names)
	return names
}
