package middleware

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/grantor-auth/grantor/internal/resource"
	"github.com/grantor-auth/grantor/scopes"
)

// Demand is what a request must bring to pass.
type Demand struct {
	AllOf    []string // the token needs every one of these scopes
	AnyOf    []string // and one at least of these
	Audience string   // and names this in aud (RFC 9068 §4), beside Config.Audience; "": no further audience
	Resource string   // the same, and challenges say where the metadata of this URL is (RFC 9728 §5.1)
}

// Protect is Handler for a demand that is known only while the program runs, such as one from a
// configuration: a wrong scope is an error and no panic. An empty demand takes every good token.
// Challenges name the scopes of the demand, those for requests without a token too (RFC 6750 §3).
func (g *Guard) Protect(next http.Handler, d Demand) (http.Handler, error) {
	all, err := single(d.AllOf)
	if err != nil {
		return nil, fmt.Errorf("middleware: AllOf: %w", err)
	}
	one, err := single(d.AnyOf)
	if err != nil {
		return nil, fmt.Errorf("middleware: AnyOf: %w", err)
	}
	p := &protection{guard: g, audience: cmp.Or(d.Resource, d.Audience), named: all.Union(one).String(),
		all: requirement{scopes: all}, any: requirement{scopes: one, any: true}}
	if err := p.locate(d); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		carried, refused := p.admit(r)
		if refused != nil {
			g.refuse(w, refused)
			return
		}
		carried.pass(w.Header())
		next.ServeHTTP(w, r.WithContext(carried))
	}), nil
}

// locate finds the metadata that challenges name.
func (p *protection) locate(d Demand) error {
	switch {
	case d.Resource == "":
		return nil
	case d.Audience != "":
		return errors.New("middleware: give either Audience or Resource")
	}
	at, err := resource.Where(d.Resource)
	p.metadata = at.URL
	if err != nil {
		return fmt.Errorf("middleware: Resource: %w", err)
	}
	return nil
}

// single makes a set of tokens, each of which must be one: an empty text is no demand and would
// open a route.
func single(tokens []string) (scopes.Set, error) {
	for _, t := range tokens {
		if err := scopes.CheckToken(t); err != nil {
			return scopes.Set{}, err
		}
	}
	return scopes.Of(tokens...)
}

// protection is a demand in the form in which tokens are held against it.
type protection struct {
	guard    *Guard
	audience string
	all, any requirement
	named    string // the scopes of both
	metadata string // "": the Guard's
}

func (p *protection) admit(r *http.Request) (*carrier, *refusal) {
	carried, refused := p.guard.authenticate(r)
	if refused == nil {
		refused = p.meets(carried.verified)
	}
	if refused == nil {
		return carried, nil
	}
	if refused.status == http.StatusUnauthorized || refused.status == http.StatusForbidden {
		refused.scope = p.named
	}
	refused.metadata = p.metadata
	return nil, refused
}

// meets holds a good token against the demand.
func (p *protection) meets(t *Token) *refusal {
	if p.audience != "" && !t.HasAudience(p.audience) {
		return elsewhere(t)
	}
	refused := p.guard.check(t, p.all)
	if refused == nil && !p.any.scopes.IsEmpty() {
		refused = p.guard.check(t, p.any)
	}
	return refused
}
