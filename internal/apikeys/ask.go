package apikeys

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/scopes"
)

// Ask is what somebody wants of a new key.
type Ask struct {
	Name     string
	Scope    string
	TTL      time.Duration // 0: NoExpiry must be said
	NoExpiry bool
	Networks []string // addresses and networks from which the key may be used; nil: from everywhere
	Creator  string

	networks []string // the same as CIDR
}

// Bounds of what may be asked for.
const (
	MaxName     = 100 // characters
	MinTTL      = time.Minute
	MaxTTL      = 10 * 365 * 24 * time.Hour
	MaxNetworks = 32
)

// AskError says what is wrong with what was asked for.
type AskError struct {
	Field string // name, scope, expires, allowed_networks, client
	Text  string
}

func (e *AskError) Error() string { return e.Field + ": " + e.Text }

func wrong(field, text string) error { return &AskError{field, text} }

// check says all that is wrong before anybody is asked.
func (a *Ask) check() error {
	var errs []error
	bad := func(field, text string) { errs = append(errs, wrong(field, text)) }
	switch {
	case a.Name == "" || utf8.RuneCountInString(a.Name) > MaxName:
		bad("name", fmt.Sprintf("say who will hold the key, in at most %d characters", MaxName))
	case printable.CheckName(a.Name) != nil:
		bad("name", printable.CheckName(a.Name).Error())
	case printable.Redact(a.Name) != a.Name:
		bad("name", "it looks like a token or a secret of Grantor")
	}
	switch {
	case a.TTL == 0 && !a.NoExpiry:
		bad("expires", "say when the key ends, as 180d, or say that it has no end (--no-expiry, no_expiry)")
	case a.TTL != 0 && a.NoExpiry:
		bad("expires", "say either when the key ends, or that it has no end")
	case a.TTL != 0 && (a.TTL < MinTTL || a.TTL > MaxTTL || a.TTL%time.Second != 0):
		bad("expires", "whole seconds between 1m and 3650d; a key that shall live longer has no end (--no-expiry, no_expiry)")
	}
	networks, err := address.ParseNetworks(a.Networks)
	switch {
	case err != nil:
		bad("allowed_networks", err.Error())
	case a.Networks != nil && len(networks) == 0: // as of a variable that is not set
		bad("allowed_networks", "the list is empty: name a network, or leave it out for a key that works from everywhere")
	case len(networks) > MaxNetworks:
		bad("allowed_networks", fmt.Sprintf("at most %d networks", MaxNetworks))
	}
	a.networks = slices.Compact(slices.Sorted(slices.Values(networks.Strings())))
	return errors.Join(errs...)
}

// grant is what a key may carry: everything asked for, with what it implies, or an error.
func (m *Manager) grant(c *clients.Client, text string) (scopes.Set, error) {
	asked, err := scopes.Parse(text)
	switch {
	case err != nil:
		return scopes.Set{}, wrong("scope", err.Error())
	case asked.IsEmpty():
		return scopes.Set{}, wrong("scope", "say which scopes the key has; it has no others")
	}
	for t := range asked.All() {
		switch {
		case scopes.IsReserved(t):
			return scopes.Set{}, wrong("scope", t+" is power over Grantor, which no API key has: ask for a token")
		case !m.Catalogue.Has(t):
			return scopes.Set{}, wrong("scope", t+" is not in [scopes]")
		case !m.Catalogue.Permits(c.Scope, t):
			return scopes.Set{}, wrong("scope", t+" is not within the client's scope")
		}
	}
	granted := m.Catalogue.Expand(asked)
	if err := granted.CheckBounds(); err != nil {
		return scopes.Set{}, wrong("scope", "with all that they imply: "+err.Error())
	}
	return granted, nil
}

// audience is the aud that the scopes give to any token of the client.
func (m *Manager) audience(c *clients.Client, granted scopes.Set) []string {
	var list []string
	for t := range granted.All() {
		if known, ok := m.Catalogue.Get(t); ok && known.Resource != "" {
			list = scopes.AddResource(list, known.Resource)
			continue
		}
		for _, a := range c.Audience {
			list = scopes.AddResource(list, a)
		}
	}
	slices.Sort(list)
	return list
}
