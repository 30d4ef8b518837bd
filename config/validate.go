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

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/scopes"
)

// demoSecrets are the hashes of the secrets that the README prints. A client with one of them is
// a demo client under any name.
var demoSecrets = []string{
	demoMachineHash,
	demoAPIHash,
}

// validate holds the whole against the rules, and returns what is allowed but worth a warning.
func (d *decoder) validate() (warnings []string) {
	d.issuer()
	d.listener()
	d.choice("log.level", d.cfg.Log.Level, "debug", "info", "warn", "error")
	d.choice("log.format", d.cfg.Log.Format, "auto", "text", "json")
	d.choice("store", d.cfg.Store, StoreRedis, StoreMemory)
	d.redis()
	d.lives()
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
	if n := d.cfg.Limits.IPv6Prefix; n < 32 || n > 128 {
		d.bad("limits.ipv6_prefix", "must be 32 to 128; 64 is the smallest network that a provider gives to one customer")
	}
	d.scopes()
	d.registrations()
	d.users()
	d.signing()
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

func (d *decoder) lives() {
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
		table[name] = scopes.Scope{Description: s.Description, Resource: s.Resource, Implies: s.Implies}
	}
	cat, err := scopes.NewCatalogue(table)
	for _, e := range flatten(err) {
		if entry, ok := errors.AsType[*scopes.EntryError](e); ok {
			d.bad(join(join("scopes", entry.Scope), entry.Field), "%s", entry.Err)
			leaveOut(table, entry)
		}
	}
	if err != nil { // what refers to scopes is held against those that are sound
		cat, _ = scopes.NewCatalogue(table)
	}
	d.cfg.catalogue = cat
	for name, s := range table {
		if s.Resource != "" && s.Resource == d.cfg.Issuer+adminAudience {
			d.bad(join(join("scopes", name), "resource"), "is reserved for the audience of grantor:… scopes (RFC 9700 §2.3): give this API another resource")
		}
	}
}

// leaveOut takes what is wrong out of a table of scopes.
func leaveOut(table map[string]scopes.Scope, wrong *scopes.EntryError) {
	s := table[wrong.Scope]
	switch wrong.Field {
	case "resource":
		s.Resource = ""
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

// registrations turns the entries of [[clients]] into clients. What is wrong with a key that
// could not be read was said already.
func (d *decoder) registrations() {
	seen := map[string]int{}
	for i := range d.cfg.Clients {
		in := &d.cfg.Clients[i]
		key := fmt.Sprintf("clients[%d]", i)
		unread := d.unreadBelow(key)
		if first, twice := seen[in.ID]; twice {
			d.bad(key+".client_id", "is also the id of clients[%d]: every client needs its own", first)
		}
		seen[in.ID] = i
		c, err := in.Client()
		for _, f := range fieldErrors(err) {
			unread = append(unread, f.Field)
			if f.Field != "retry_window" { // refreshTTLs says it
				d.bad(key+"."+f.Field, "%s", f.Err)
			}
		}
		if slices.Contains(unread, "scope") {
			unread = append(unread, "default_scope")
		}
		d.secretHashes(key, in.Secrets, unread)
		for _, f := range fieldErrors(c.Check(d.cfg.catalogue)) {
			if !slices.Contains(unread, f.Field) {
				d.bad(key+"."+f.Field, "%s", f.Err)
			}
		}
		d.addClient(c)
	}
}

// secretHashes refuses secrets without a hash: no text is such a secret.
func (d *decoder) secretHashes(client string, list []clients.Secret, unread []string) {
	for i, s := range list {
		field := fmt.Sprintf("secrets[%d].hash", i)
		_, stated := d.where[client+"."+field]
		if s.Hash == (clients.SecretHash{}) && !stated && !slices.Contains(unread, field) {
			_, err := clients.ParseHash("")
			d.bad(client+"."+field, "%s", err)
		}
	}
}

// addClient keeps a client, and what an operator should know of it.
func (d *decoder) addClient(c *clients.Client) {
	for _, passed := range c.JWKS.PassedOver() {
		d.passed = append(d.passed, fmt.Sprintf("client %q: jwks: passed over: %s", c.ID, passed))
	}
	c.Demo = slices.ContainsFunc(c.Secrets, func(s clients.Secret) bool {
		return slices.Contains(demoSecrets, s.Hash.String())
	})
	d.cfg.clients = append(d.cfg.clients, c)
}

// unreadBelow returns the members of an entry whose text could not be read.
func (d *decoder) unreadBelow(entry string) (members []string) {
	for _, key := range d.unread {
		if member, below := strings.CutPrefix(key, entry+"."); below {
			members = append(members, member)
		}
	}
	return members
}

// fieldErrors takes joined errors of a registration apart.
func fieldErrors(err error) (list []*clients.FieldError) {
	for _, e := range flatten(err) {
		if f, ok := errors.AsType[*clients.FieldError](e); ok {
			list = append(list, f)
		}
	}
	return list
}

// demo refuses the shipped secrets wherever anyone else could use them, and where the
// configuration says that a proxy stands in front.
func (d *decoder) demo() {
	u, err := url.Parse(d.cfg.Issuer)
	alone := d.cfg.TLS.Mode != "proxy" && len(d.cfg.TrustedProxies) == 0
	if err != nil || alone && onLoopback(d.cfg.Listen) && loopback.Host(u.Hostname()) || d.cfg.Trial {
		return
	}
	for i, u := range d.cfg.users {
		if u.PasswordHash == demoUserHash {
			d.bad(fmt.Sprintf("users.config[%d].password_hash", i), "is the hash of the published demo password. With a proxy in front, or a listener or issuer off loopback, make another: grantor hash-password")
		}
	}
	for i, c := range d.cfg.clients {
		if c.Demo {
			d.bad(fmt.Sprintf("clients[%d].secrets", i), "has the published demo secret. With a proxy in front, or a listener or issuer off loopback, make another: grantor secret new")
		}
	}
}

// wideClients warns of clients that may ask for more at once than one token carries.
func (d *decoder) wideClients() (list []string) {
	for _, c := range d.cfg.clients {
		all := d.cfg.catalogue.Expand(d.cfg.catalogue.Names().Filter(c.Scope.Allows))
		if err := cmp.Or(all.CheckBounds(), clients.CheckAudience(d.cfg.catalogue.Audience(all))); err != nil {
			list = append(list, fmt.Sprintf("client %q: one token cannot carry all scopes that it may request: %s", c.ID, err))
		}
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
	list = append(list, d.wideClients()...)
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

// Unseen is a scope whose tokens no client of config.toml can introspect.
type Unseen struct{ Name, Resource string }

// Unseen returns the scopes whose tokens no client of config.toml can introspect.
func (c *Config) Unseen() (list []Unseen) {
	for name := range c.catalogue.Names().All() {
		s, _ := c.catalogue.Get(name)
		if !slices.ContainsFunc(c.clients, func(cl *clients.Client) bool { return clients.Sees(cl.Introspect, cl.Resource, s.Resource) }) {
			list = append(list, Unseen{name, s.Resource})
		}
	}
	return list
}
