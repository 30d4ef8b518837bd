package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/tokens"
)

// headerNonce carries a nonce for the next proof (RFC 9449 §8).
const headerNonce = "DPoP-Nonce"

// proofs checks the DPoP proofs of requests (RFC 9449). Its URLs come from the issuer: what a
// request says of its own host decides nothing.
type proofs struct {
	codec     *tokens.Codec // from whose key nonces derive: any node takes any node's
	lifetime  time.Duration // of a nonce; 0: none is demanded
	now       func() time.Time
	tokenURLs []string // of the token endpoint, as dpop.NormalURL has them
	origins   []string // of all other endpoints
	present   atomic.Pointer[keyedChecker]
}

// keyedChecker is a checker with the nonces of one server key.
type keyedChecker struct {
	dpop.Checker
	key tokens.ServerKey
}

func newProofs(cfg *Config, codec *tokens.Codec, now func() time.Time) (*proofs, error) {
	if n := cfg.DPoPNonces; n != 0 && n < time.Second {
		return nil, errors.New("server: DPoPNonces must be 1s at least, or 0 for none")
	}
	p := &proofs{codec: codec, lifetime: cfg.DPoPNonces, now: now}
	for _, base := range []string{cfg.Issuer, cfg.MTLSURL} {
		if base == "" {
			continue
		}
		token, err := dpop.NormalURL(base + PathToken)
		if err != nil {
			return nil, fmt.Errorf("server: Issuer, MTLSURL: %w", err)
		}
		u, err := url.Parse(token)
		if err != nil {
			return nil, err
		}
		p.tokenURLs, p.origins = append(p.tokenURLs, token), append(p.origins, u.Scheme+"://"+u.Host)
	}
	return p, nil
}

// checker returns the checker of the present server key.
func (p *proofs) checker() *keyedChecker {
	key, present := p.codec.Key(), p.present.Load()
	if present != nil && (present.key == key || p.lifetime == 0) {
		return present
	}
	present = &keyedChecker{dpop.Checker{Now: p.now}, key}
	if p.lifetime != 0 {
		present.Nonces, _ = dpop.NewNonces([32]byte(key.Derive("grantor/dpop-nonce/v1")), p.lifetime) // newProofs judged it
	}
	p.present.Store(present)
	return present
}

// check returns the proof of a request, or a dpop.Reason. The answer gets a new nonce where the
// client needs one (RFC 9449 §8.2).
func (p *proofs) check(x *exchange, of dpop.Request) (*dpop.Proof, error) {
	text, err := dpop.FromHeader(x.gin.Request.Header)
	if err != nil {
		return nil, err
	}
	c := p.checker()
	proof, err := c.Check(text, of)
	reason, _ := errors.AsType[dpop.Reason](err)
	if reason.WantsNonce() || err == nil && proof.OldNonce {
		x.gin.Header(headerNonce, c.Nonces.Current(p.now()))
	}
	return proof, err
}

// urlsOf are the URLs that a proof for a request may name.
func (p *proofs) urlsOf(r *http.Request) (urls []string) {
	for _, origin := range p.origins {
		urls = append(urls, origin+dpop.NormalPath(r.URL.EscapedPath()))
	}
	return urls
}

// proveKey notes the key that a token request proves by its DPoP header: the tokens of the answer
// are bound to it (RFC 9449 §5). A client with dpop_bound_access_tokens gets no others (§5.2).
func (s *Server) proveKey(x *exchange) error {
	if len(x.gin.Request.Header["Dpop"]) == 0 && !x.client.DPoPBound {
		return nil
	}
	proof, err := s.proofs.check(x, dpop.Request{Method: http.MethodPost, URLs: s.proofs.tokenURLs})
	if err != nil {
		return err
	}
	x.shown.KeyThumbprint = proof.Key
	x.proof = tokens.NewProof(proof.Name(), proof.Keep)
	return nil
}

// proveHolder demands that a request with an access token proves the key that the token is bound to
// (RFC 9449 §7.1): a bound token does not work as a bearer token (§7.2). The proof is used once.
func (s *Server) proveHolder(x *exchange, text string, bound tokens.Confirmation) error {
	switch {
	case !bound.HasKey() && x.scheme != schemeDPoP:
		return nil
	case !bound.HasKey():
		return challenge(x, http.StatusUnauthorized, codeInvalidToken, "token_not_bound",
			"the token is bound to no key: send it as a bearer token")
	case x.scheme != schemeDPoP:
		x.scheme = schemeDPoP
		return challenge(x, http.StatusUnauthorized, codeInvalidToken, "bound_token_as_bearer",
			"the token is bound to a key: send it in the scheme DPoP, with a proof (RFC 9449 §7.2)")
	}
	r := x.gin.Request
	proof, err := s.proofs.check(x, dpop.Request{Method: r.Method, URLs: s.proofs.urlsOf(r), Token: text, Key: &bound.KeyThumbprint})
	if err == nil {
		err = s.firstUse(x, proof)
	}
	if reason, ok := errors.AsType[dpop.Reason](err); ok {
		e := proofRefused(reason)
		if reason == dpop.WrongKey {
			e.Code = codeInvalidToken
		}
		return challenge(x, http.StatusUnauthorized, e.Code, e.Reason, e.Description)
	}
	return err
}

// firstUse returns dpop.Replayed for a proof that was used before.
func (s *Server) firstUse(x *exchange, proof *dpop.Proof) error {
	name := proof.Name()
	err := usedProofs{s.cfg.Store}.Once(x, base64.RawURLEncoding.EncodeToString(name[:]), proof.Keep)
	if errors.Is(err, middleware.ErrProofUsed) {
		return dpop.Replayed
	}
	return err
}

// usedProofs remembers proofs for all nodes together, where no command carries them. It is the
// middleware.UsedProofs of the admin listener.
type usedProofs struct{ store tokens.Store }

// Once implements middleware.UsedProofs.
func (u usedProofs) Once(ctx context.Context, name string, ttl time.Duration) error {
	first, err := u.store.Once(ctx, "dpop:"+name, ttl)
	if err == nil && !first {
		return middleware.ErrProofUsed
	}
	return err
}

// proofRefused is the answer for a proof that is refused (RFC 9449 §5, §8).
func proofRefused(r dpop.Reason) *Error {
	if r.WantsNonce() {
		return &Error{Code: codeUseNonce, Description: r.Error(), Reason: Reason(r)}
	}
	return &Error{Code: codeInvalidProof, Description: r.Error(), Reason: Reason(r)}
}

// storeIssued stores the record of a token of no new session, and with it the request's proof.
func (s *Server) storeIssued(x *exchange) error {
	if x.proof.IsZero() {
		return s.cfg.Store.Issue(x, x.issued, x.record)
	}
	return s.cfg.Store.IssueOnce(x, x.issued, x.record, x.proof)
}
