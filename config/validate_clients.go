package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/users"
)

// demoSecrets are the hashes of the secrets that the README prints. A client with one of them is
// a demo client under any name.
var demoSecrets = []string{
	demoMachineHash,
	demoAPIHash,
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
		if slices.ContainsFunc(unread, func(name string) bool { return strings.HasPrefix(name, "secrets[") }) {
			unread = append(unread, "secrets") // a hash that could not be read was told already
		}
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
		if s.Hash.Slow() {
			if err := users.CheckSecretHash(s.Hash.String()); err != nil {
				d.bad(client+"."+field, "%s", err)
			}
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
