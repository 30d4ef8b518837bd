package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/internal/resource"
)

// Resource is what an API says about itself, so that a client that knows only its URL finds the
// authorization server and the scopes (RFC 9728 §2). Config.Audience is the resource identifier: an
// https URL, or an http URL of this machine. Nothing here is secret.
type Resource struct {
	// AuthorizationServers are the issuers whose tokens the API takes; nil: that of the Verifier.
	AuthorizationServers []string
	Scopes               []string // that clients may ask for; nil: not said
	Name                 string   // for people; "": not said, and so are the URLs below
	Documentation        string   // URL of a page for developers
	Policy               string   // URL of a page on how clients may use the data
	Terms                string   // URL of the terms of service
	JWKSURI              string   // URL of the API's own public keys, where it signs its answers
}

// Metadata answers with Config.Resource (RFC 9728 §3.2), to web pages of every origin too. Without
// Config.Resource it answers 404. It stands at MetadataPath, for all methods:
//
//	mux.Handle(guard.MetadataPath(), guard.Metadata())
//	router.Any(guard.MetadataPath(), gin.WrapH(guard.Metadata()))
func (g *Guard) Metadata() http.Handler {
	if g.metadata == nil {
		return http.NotFoundHandler()
	}
	return g.metadata
}

// MetadataPath is where clients look for the metadata: /.well-known/oauth-protected-resource and
// the path of Config.Audience (RFC 9728 §3.1). "": there is no Config.Resource.
func (g *Guard) MetadataPath() string { return g.metadataAt.Path }

// describe prepares the metadata of cfg.Resource, and its place for challenges.
func (g *Guard) describe(cfg *Config) (err error) {
	if cfg.Resource == nil {
		return nil
	}
	if cfg.Audience == "" {
		return errors.New("middleware: Resource needs Audience, which is the URL of the API (RFC 9728 §2)")
	}
	if g.metadataAt, err = resource.Where(cfg.Audience); err != nil {
		return fmt.Errorf("middleware: with Resource, Audience %w", err)
	}
	r := *cfg.Resource
	if len(r.AuthorizationServers) == 0 {
		if r.AuthorizationServers = issuersOf(cfg.Verifier); len(r.AuthorizationServers) == 0 {
			return errors.New("middleware: Resource needs AuthorizationServers: the Verifier does not say its issuer")
		}
	}
	document := &resource.Document{Resource: cfg.Audience, AuthorizationServers: r.AuthorizationServers, JWKSURI: r.JWKSURI,
		Scopes: r.Scopes, BearerMethods: []string{"header"}, Name: r.Name, Documentation: r.Documentation, Policy: r.Policy, Terms: r.Terms}
	if cfg.FormBody {
		document.BearerMethods = append(document.BearerMethods, "body")
	}
	if g.proofs != nil {
		document.ProofAlgorithms, document.ProofRequired = dpop.Algorithms(), cfg.DPoP.Required
	}
	document.Certificates = cfg.ClientCertHeader != "" || cfg.ClientCertificate != nil
	if g.metadata, err = resource.Handler(document); err != nil {
		return fmt.Errorf("middleware: Resource: %w", err)
	}
	return nil
}

// issuing is a Verifier that knows whose tokens it takes.
type issuing interface{ issuers() []string }

// issuersOf returns the issuers of a verifier; nil: it does not say.
func issuersOf(v Verifier) []string {
	if known, ok := v.(issuing); ok {
		return known.issuers()
	}
	return nil
}

func (v *Introspection) issuers() []string {
	if v.cfg.Issuer == "" {
		return nil
	}
	return []string{v.cfg.Issuer}
}

func (v *JWT) issuers() []string { return []string{v.cfg.Issuer} }

// pair is a Verifier that is made of two.
type pair struct {
	VerifierFunc
	of [2]Verifier
}

func (p pair) issuers() (list []string) {
	for _, v := range p.of {
		for _, issuer := range issuersOf(v) {
			if !slices.Contains(list, issuer) {
				list = append(list, issuer)
			}
		}
	}
	return list
}
