package assertions

import (
	"context"
	"errors"
	"slices"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// Proof is a client that an assertion authenticates.
type Proof struct {
	ID         string
	Credential string // "key:" and the name of the client's key, or "workload:" and issuer and subject
}

// Verify returns the client that the assertion authenticates. clientID is the form's
// client_id, "" without one. A *Rejection: the assertion proves nothing; any other error: that is
// not known. An unknown client, a wrong key and a wrong signature cost the same work.
func (a *Checker) Verify(ctx context.Context, assertion, clientID string, find Find) (Proof, error) {
	u, err := jwt.Parse(assertion, a.rules)
	if err != nil {
		return Proof{}, &Rejection{ID: clientID, Reason: reasonOf(err)}
	}
	p := &verification{v: a, u: u, id: clientID}
	switch keys, ok := a.issuers[u.Issuer()]; {
	case ok:
		err = p.workload(ctx, keys, find)
	case a.isSVID(u):
		err = p.svid(ctx, find)
	default:
		err = p.privateKey(ctx, find)
	}
	if err != nil {
		return Proof{}, err
	}
	return Proof{p.id, p.credential}, nil
}

// verification is one assertion that is being verified.
type verification struct {
	v  *Checker
	u  *jwt.Unverified
	id string // of the client that is claimed

	credential string // that proved it; see Proof
}

func (p *verification) refuse(r RejectionReason) error { return &Rejection{ID: p.id, Reason: r} }

// refuseLate refuses where a signature would have been checked, after the same work.
func (p *verification) refuseLate(r RejectionReason) error {
	p.v.spend(p.u)
	return p.refuse(r)
}

// refusedBy turns an error of package jwt into a rejection, and returns other errors
// unchanged.
func (p *verification) refusedBy(err error) error {
	if r := reasonOf(err); r != "" {
		return p.refuse(r)
	}
	return err
}

// typed demands a typ (RFC 8725 §3.11): an access token or a logout token is no assertion.
func (p *verification) typed(types ...string) bool { return slices.Contains(types, p.u.Header().Type) }

// find looks the claimed client up.
func (p *verification) find(ctx context.Context, find Find) (Registered, error) {
	reg, err := find(ctx, p.id)
	if errors.Is(err, ErrUnknownClient) {
		return reg, p.refuseLate(ReasonUnknown)
	}
	return reg, err
}

// signed checks alg against the client's and the signature by keys (RFC 8725 §3.1).
func (p *verification) signed(ctx context.Context, reg *Registered, keys jwt.Source) (*jwt.Claims, error) {
	if reg.Algorithms != nil && !slices.Contains(reg.Algorithms, p.u.Header().Algorithm) {
		return nil, p.refuseLate(ReasonAlgorithm)
	}
	proof, err := p.u.Prove(ctx, keys)
	if errors.Is(err, jwt.NoKey) {
		p.v.spend(p.u)
	}
	if err != nil {
		return nil, err
	}
	p.credential = "key:" + proof.KeyName()
	return p.u.Claims(proof), nil
}
