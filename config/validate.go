package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/scopes"
)

// validate holds the whole against the rules, and returns what is allowed but worth a warning.
func (d *decoder) validate() (warnings []string) {
	d.issuer()
	d.listener()
	d.choice("log.level", d.cfg.Log.Level, "debug", "info", "warn", "error")
	d.choice("log.format", d.cfg.Log.Format, "auto", "text", "json")
	d.choice("store", d.cfg.Store, StoreRedis, StoreMemory)
	d.redis()
	d.lifetimes()
	for i, p := range d.cfg.TrustedProxies {
		_, err1 := netip.ParseAddr(p)
		_, err2 := netip.ParsePrefix(p)
		if err1 != nil && err2 != nil {
			d.bad(fmt.Sprintf("trusted_proxies[%d]", i), "must be an address or a network, such as 10.0.0.0/8")
		}
	}
	for key, n := range map[string]int{"limits.client_failures": d.cfg.Limits.ClientFailures,
		"limits.password_failures": d.cfg.Limits.PasswordFailures, "limits.password_failures_per_address": d.cfg.Limits.PasswordFailuresPerAddress, "limits.requests_per_second": d.cfg.Limits.RequestsPerSecond,
		"limits.registrations": d.cfg.Limits.Registrations, "limits.registrations_per_hour": d.cfg.Limits.RegistrationsPerHour} {
		if n < -1 || n == 0 {
			d.bad(key, "must be 1 or more, or -1 for no limit")
		}
	}
	if n := d.cfg.Limits.SessionsPerUser; n < -1 || n == 0 || n > maxSessionsPerUser {
		d.bad("limits.sessions_per_user", "must be 1 to %d, or -1 for no limit", maxSessionsPerUser)
	}
	if n := d.cfg.Limits.IPv6Prefix; n < 32 || n > 128 {
		d.bad("limits.ipv6_prefix", "must be 32 to 128; 64 is the smallest network that a provider gives to one customer")
	}
	if l := d.cfg.Feed.Lease; l < 250*time.Millisecond || l > time.Minute {
		d.bad("feed.lease", `must be "250ms" to "60s": verifiers ask four times in it, and a revocation takes as long at the worst`)
	}
	d.choice("dpop.nonce", d.cfg.DPoP.Nonce, NonceOff, NonceRequired)
	if l := d.cfg.DPoP.NonceLifetime; l < 10*time.Second || l > time.Hour {
		d.bad("dpop.nonce_lifetime", `must be "10s" to "1h"`)
	}
	d.scopes()
	d.registrations()
	d.users()
	d.hooks()
	d.metadata()
	d.signing()
	d.clientCertificates()
	d.operator()
	d.demo()
	return append(warnings, d.warnings()...)
}

func (d *decoder) choice(key, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		d.bad(key, `must be "%s"`, strings.Join(allowed, `" or "`))
	}
}

func (d *decoder) issuer() {
	u, err := url.Parse(d.cfg.Issuer)
	switch {
	case err != nil || !u.IsAbs() || u.Host == "" || strings.ContainsAny(d.cfg.Issuer, "?#") || u.User != nil:
		d.bad("issuer", `must be an absolute URL without query or fragment, such as "https://auth.example.com" (RFC 8414 §2)`)
	case strings.HasSuffix(d.cfg.Issuer, "/"):
		d.bad("issuer", "must not end in a slash: clients compare it byte for byte")
	case u.Scheme != "https" && u.Scheme != "http":
		d.bad("issuer", "must begin with https://")
	case !loopback.Secure(u):
		d.bad("issuer", "must begin with https:// off loopback: tokens must not travel in clear (RFC 6749 §3.2)")
	}
}

// adminAudience is server.AdminAudience.
const adminAudience = "/admin"

// The bounds of an access token's life.
const (
	minAccessTTL = time.Second
	maxAccessTTL = 24 * time.Hour
)

// maxAhead is what the clocks of an operator and a server may differ by.
const maxAhead = time.Minute

func (d *decoder) lifetimes() {
	check := func(key string, v time.Duration) {
		if v < minAccessTTL || v > maxAccessTTL || v%time.Second != 0 {
			d.bad(key, "must be whole seconds between 1s and 24h: a stolen access token works until it expires (RFC 9700 §2.2.1)")
		}
	}
	t := d.cfg.Tokens
	if t.NotBefore.After(time.Now().Add(maxAhead)) {
		d.bad("tokens.not_before", "is %s, more than a minute ahead: every token would be inactive until then; set the current time or an earlier one", t.NotBefore.Format(time.RFC3339))
	}
	check("tokens.access_ttl", t.AccessTTL)
	d.refreshTTLs("tokens", t.RefreshTTL, t.RefreshMaxTTL, d.serverRetryWindow(), t.AccessTTL)
	for i, c := range d.cfg.Clients {
		key := fmt.Sprintf("clients[%d]", i)
		access := time.Duration(c.AccessTTL)
		if access != 0 {
			check(key+".access_ttl", access)
		}
		d.refreshTTLs(key, cmp.Or(time.Duration(c.RefreshTTL), t.RefreshTTL),
			cmp.Or(time.Duration(c.MaxTTL), t.RefreshMaxTTL), (*time.Duration)(c.RetryWindow), cmp.Or(access, t.AccessTTL))
	}
	if most := d.cfg.Limits.AssertionMaxTTL; most < time.Minute || most > 24*time.Hour {
		d.bad("limits.assertion_max_ttl", "must be between 1m and 24h: Grantor remembers each assertion until its exp, to accept it only once")
	}
	if d.cfg.Limits.Window < time.Second {
		d.bad("limits.window", "must be 1s or more")
	}
	if d.cfg.Server.ShutdownDelay < 0 {
		d.bad("server.shutdown_delay", "must not be negative")
	}
	if d.cfg.Server.ShutdownTimeout <= 0 {
		d.bad("server.shutdown_timeout", "must be positive")
	}
}

func (d *decoder) scopes() {
	table := make(map[string]scopes.Scope, len(d.cfg.Scopes))
	for name, s := range d.cfg.Scopes {
		table[name] = scopes.Scope{Description: s.Description, Resource: s.Resource, JWTTyp: s.JWTTyp, Implies: s.Implies, Claims: s.Claims}
		for i, claim := range s.Claims {
			if err := claims.CheckName(claim); err != nil {
				d.bad(fmt.Sprintf("%s[%d]", join(join("scopes", name), "claims"), i), "%s", err)
			}
		}
	}
	cat, err := scopes.NewCatalogue(table, d.audienceNames()...)
	for _, e := range flatten(err) {
		if entry, ok := errors.AsType[*scopes.EntryError](e); ok {
			d.bad(join(join("scopes", entry.Scope), entry.Field), "%s", entry.Err)
			leaveOut(table, entry)
		}
	}
	if err != nil { // what refers to scopes is held against those that are sound
		cat, _ = scopes.NewCatalogue(table, d.cfg.Tokens.AudienceNames...)
	}
	d.cfg.catalogue = cat
	for name, s := range table {
		if s.Resource != "" && scopes.SameResource(s.Resource, d.cfg.Issuer+adminAudience) {
			d.bad(join(join("scopes", name), "resource"), "is reserved for the audience of grantor:… scopes (RFC 9700 §2.3): give this API another resource")
		}
	}
}

// audienceNames returns what may be an audience beside URIs.
func (d *decoder) audienceNames() []string {
	for i, name := range d.cfg.Tokens.AudienceNames {
		if err := scopes.CheckAudienceName(name); err != nil {
			d.bad(fmt.Sprintf("tokens.audience_names[%d]", i), "%s", err)
		}
	}
	return d.cfg.Tokens.AudienceNames
}

// leaveOut takes what is wrong out of a table of scopes.
func leaveOut(table map[string]scopes.Scope, wrong *scopes.EntryError) {
	s := table[wrong.Scope]
	switch wrong.Field {
	case "resource":
		s.Resource, s.JWTTyp = "", ""
	case "jwt_typ":
		s.JWTTyp = ""
	case "implies":
		s.Implies = nil
	default:
		delete(table, wrong.Scope)
		for name, other := range table {
			other.Implies = slices.DeleteFunc(slices.Clone(other.Implies), func(i string) bool { return i == wrong.Scope })
			table[name] = other
		}
		return
	}
	if _, there := table[wrong.Scope]; there {
		table[wrong.Scope] = s
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, flatten(e)...)
	}
	return list
}

// warnings are said at each start.
func (d *decoder) warnings() (list []string) {
	if d.cfg.Admin.Listen != "" && (d.cfg.Limits.Registrations == -1 || d.cfg.Limits.RegistrationsPerHour == -1) {
		list = append(list, "limits.registrations or limits.registrations_per_hour is off: a client with grantor:clients can fill Redis with clients")
	}
	if d.cfg.Limits.ClientFailures == -1 {
		list = append(list, "limits.client_failures is off: nothing limits attempts to guess client secrets")
	}
	list = append(append(list, d.operatorWarnings()...), d.passwordWarnings()...)
	list = append(list, d.exposedWarnings()...)
	if d.cfg.Demo() && !d.cfg.Trial {
		list = append(list, "the secrets of the demo are public: they work only for requests from this machine to the printed address. Run no tunnel, port forward or proxy to it: Grantor may not be able to detect it")
	}
	if d.cfg.catalogue == nil {
		return list
	}
	list = append(append(list, d.wideClients()...), d.unknownPerClient()...)
	list = append(list, d.exchangeWarnings()...)
	list = append(list, d.passed...)
	for _, c := range d.cfg.clients {
		if c.Resource != "" && (c.Introspect == "" || c.Introspect == clients.SightOwn) {
			list = append(list, fmt.Sprintf("client %q: it is the resource %s but may not introspect the tokens for it: set introspect = \"audience\"", c.ID, c.Resource))
		}
	}
	if d.cfg.Store != StoreRedis { // there a registered client may: serve looks
		for _, u := range d.cfg.Unseen() {
			list = append(list, fmt.Sprintf("scope %q: no client can introspect its tokens; give a resource server introspect = \"any\", or \"audience\" with this scope's resource", u.Name))
		}
	}
	return list
}
