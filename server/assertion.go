package server

import (
	"context"
	"errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
)

// findAssertion says how a client's assertions are checked. Disabled clients and those of another
// method are as unknown as clients that do not exist.
func (s *Server) findAssertion(ctx context.Context, id string) (assertions.Registered, error) {
	c, err := s.cfg.Clients.Get(ctx, id)
	switch {
	case errors.Is(err, clients.ErrUnknown):
		return assertions.Registered{}, assertions.ErrUnknownClient
	case err != nil:
		return assertions.Registered{}, err
	case c.Disabled || c.Method != clients.MethodJWT:
		return assertions.Registered{}, assertions.ErrUnknownClient
	}
	r := assertions.Registered{ID: c.ID, Keys: c.JWKS, JWKSURI: c.JWKSURI,
		AcceptTokenEndpointAudience: c.LenientAudience}
	if c.AssertionAlg != "" {
		r.Algorithms = []string{c.AssertionAlg}
	}
	if c.Workload != nil {
		r.Issuer, r.Subject = c.Workload.Issuer, c.Workload.Subject
	}
	return r, nil
}

// authenticate returns the proof of the client that a request's credentials prove.
func (s *Server) authenticate(x *exchange, creds clients.Credentials) (clients.Proof, error) {
	switch creds.Method {
	case clients.MethodJWT:
	case clients.MethodNone:
		return s.authenticateByName(x, creds)
	default:
		proof, err := clients.Authenticate(x, s.cfg.Clients, creds, s.now())
		if errors.Is(err, clients.ErrSlowSecret) {
			return s.proveSlowly(x, proof.Client, creds.Secret)
		}
		return proof, err
	}
	proof, err := s.proveByAssertion(x, creds)
	if refused, ok := errors.AsType[*assertions.Rejection](err); ok {
		if clients.CheckID(refused.ID) == nil {
			x.claimed = refused.ID
		}
		return clients.Proof{}, &clients.AuthError{ID: refused.ID, Reason: clients.AuthReason(refused.Reason),
			Sentence: refused.Sentence}
	}
	if errors.Is(err, errNoAssertions) {
		return clients.Proof{}, &clients.AuthError{ID: creds.ID, Reason: clients.ReasonMethod}
	}
	return proof, err
}

// errNoAssertions: nobody authenticates by assertion here.
var errNoAssertions = errors.New("assertions are not served")

// proveByAssertion returns the client that a JWT proves (RFC 7523 §2.2).
func (s *Server) proveByAssertion(ctx context.Context, creds clients.Credentials) (clients.Proof, error) {
	if s.cfg.Assertions == nil {
		return clients.Proof{}, errNoAssertions
	}
	verify := s.cfg.Assertions.Verify
	if creds.SVID {
		verify = s.cfg.Assertions.VerifySVID
	}
	proved, err := verify(ctx, creds.Assertion, creds.ID, s.findAssertion)
	if err != nil {
		return clients.Proof{}, err
	}
	c, err := s.cfg.Clients.Get(ctx, proved.ID)
	if err != nil {
		return clients.Proof{}, err
	}
	return clients.ByAssertion(c, proved.Credential), nil
}
