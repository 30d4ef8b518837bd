package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/address"
)

// maxConsoleSession bounds how long an operator's browser stays logged in.
const maxConsoleSession = 24 * time.Hour

// console checks [admin.console].
func (d *decoder) console() {
	c := d.cfg.Admin.Console
	if c.Enabled && d.cfg.Admin.Listen == "" {
		d.clash([]string{"admin.console.enabled", "admin.listen"}, "needs [admin] listen: the console is served on that listener only")
	}
	if c.Enabled && d.cfg.Admin.URL == "" && d.cfg.Admin.Listen != "" && !onLoopback(d.cfg.Admin.Listen) {
		d.clash([]string{"admin.console.enabled", "admin.url"}, "off loopback needs [admin] url: login links begin with it, and browsers must use that name")
	}
	if c.Max < time.Minute || c.Max > maxConsoleSession {
		d.bad("admin.console.max_session", "must be from 1m to 24h")
	}
	if c.Idle < time.Minute || c.Idle > c.Max {
		d.bad("admin.console.idle_timeout", "must be from 1m to max_session")
	}
	d.consoleProxies(c)
}

// consoleProxies checks who may say which operator is logged in. A header that any client of a
// proxy could send, or that every peer could, is none.
func (d *decoder) consoleProxies(c Console) {
	if c.UserHeader != "" && (!headerName(c.UserHeader) || reservedHeader(c.UserHeader)) {
		d.bad("admin.console.user_header", `must be the name of a header that the proxy alone sets, such as "X-Forwarded-User"`)
	}
	if c.UserHeader != "" && len(c.Proxies) == 0 {
		d.clash([]string{"admin.console.user_header", "admin.console.proxies"}, "needs proxies: the addresses whose header is believed")
	}
	for i, p := range c.Proxies {
		networks, err := address.ParseNetworks([]string{p})
		switch {
		case err != nil:
			d.bad(fmt.Sprintf("admin.console.proxies[%d]", i), "%v", err)
		case len(networks) == 1 && networks[0].Bits() == 0:
			d.bad(fmt.Sprintf("admin.console.proxies[%d]", i), "is every address: anybody could say who is logged in")
		}
	}
}

// reservedHeader says whether browsers, or proxies for another reason, send a header.
func reservedHeader(name string) bool {
	return slices.Contains([]string{"host", "cookie", "authorization", "origin", "referer", "user-agent", "content-type", "x-forwarded-for"}, strings.ToLower(name))
}
