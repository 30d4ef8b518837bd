package middleware

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/dpop"
)

// Error codes of RFC 9449 §7.1 and §9.
const (
	codeInvalidProof = "invalid_dpop_proof"
	codeUseNonce     = "use_dpop_nonce"
)

const headerNonce = "DPoP-Nonce" // RFC 9449 §8.1

// checkHolder holds what a token is bound to against the request (RFC 9449 §7.1, RFC 8705 §3). An
// unbound token costs nothing here.
func (g *Guard) checkHolder(c *carrier, cred credentials, t *Token) *refusal {
	bound := &t.Confirmation
	switch {
	case !bound.hasKey() && cred.dpop:
		return invalid("the token is bound to no key; send it as Authorization: Bearer")
	case !bound.hasKey() && g.cfg.DPoP.Required:
		return invalid("this API takes only tokens that are bound to a key; get one with a DPoP proof (RFC 9449 5)")
	case bound.hasKey() && !cred.dpop: // RFC 9449 §7.2
		refused := invalid("the token is bound to a key; send it as Authorization: DPoP, with a proof (RFC 9449 7.1)")
		refused.dpop = true
		return refused
	}
	if bound.hasCertificate() {
		if refused := g.checkCertificate(c, t); refused != nil {
			return refused
		}
	}
	if bound.hasKey() {
		return g.checkProof(c, cred.token, t)
	}
	return nil
}

// checkProof demands a proof by the token's key for this request, which was not used before.
func (g *Guard) checkProof(c *carrier, token string, t *Token) *refusal {
	if g.proofs == nil {
		g.cfg.Log.ErrorContext(c.request.Context(), "a token bound to a key cannot be checked",
			"remedy", "set Config.DPoP.URL to the public URL of this API")
		return invalid("this API does not take tokens that are bound to a key")
	}
	proof, err := g.proofs.check(c.request, token, &t.Confirmation.KeyThumbprint)
	if err == nil {
		err = g.proofs.once(c, proof)
	}
	if err == nil {
		if proof.OldNonce {
			c.nonce = g.proofs.nonces.Current(g.cfg.Now())
		}
		return nil
	}
	if reason, ok := errors.AsType[dpop.Reason](err); ok {
		return g.refuseProof(c.request, reason)
	}
	g.cfg.Log.ErrorContext(c.request.Context(), "whether a DPoP proof was used is unknown", "error", err.Error())
	return &refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, retryAfter: 1,
		description: "DPoP proofs cannot be checked at the moment; try again with a new one"}
}

func (p *proofs) check(r *http.Request, token string, key *[32]byte) (*dpop.Proof, error) {
	text, err := dpop.FromHeader(r.Header)
	if err != nil {
		return nil, err
	}
	method, url := p.request(r)
	return p.checker.Check(text, dpop.Request{Method: method, URLs: []string{url}, Token: token, Key: key})
}

// once returns dpop.Replayed for a proof that was used before (RFC 9449 §11.1).
func (p *proofs) once(c *carrier, proof *dpop.Proof) error {
	name := proof.Name()
	err := p.used.Once(c, base64.RawURLEncoding.EncodeToString(name[:]), proof.Keep)
	if errors.Is(err, ErrProofUsed) {
		return dpop.Replayed
	}
	return err
}

// refuseProof answers as RFC 9449 §7.1 and §9 have it.
func (g *Guard) refuseProof(r *http.Request, reason dpop.Reason) *refusal {
	refused := &refusal{status: http.StatusUnauthorized, code: codeInvalidProof, description: reason.Error(), dpop: true}
	switch {
	case reason.WantsNonce():
		refused.code = codeUseNonce
		return refused
	case reason == dpop.WrongKey:
		refused.code = codeInvalidToken
	}
	g.cfg.Log.WarnContext(r.Context(), "a DPoP proof was refused", "reason", string(reason))
	return refused
}

// checkCertificate demands the certificate that the token is bound to (RFC 8705 §3).
func (g *Guard) checkCertificate(c *carrier, t *Token) *refusal {
	leaf, err := g.certificate(c.request)
	if errors.Is(err, clientcert.ErrNone) || err == nil && leaf == nil {
		return invalid("the token is bound to a client certificate; present it in the TLS handshake (RFC 8705 3)")
	}
	if err != nil {
		g.cfg.Log.WarnContext(c.request.Context(), "a client certificate cannot be read", "error", err.Error())
		return invalid("the client certificate cannot be read")
	}
	sum := clientcert.Presented{Leaf: leaf}.Thumbprint()
	if subtle.ConstantTimeCompare(sum[:], t.Confirmation.CertificateThumbprint[:]) != 1 {
		return invalid("the token is bound to another client certificate (RFC 8705 3)")
	}
	if g.cfg.Now().After(leaf.NotAfter) {
		return invalid("the client certificate has expired")
	}
	return nil
}

// certificateOf returns what finds the client's certificate in a request.
func (cfg *Config) certificateOf() (func(*http.Request) (*x509.Certificate, error), error) {
	if cfg.ClientCertificate != nil {
		if cfg.ClientCertHeader != "" {
			return nil, errors.New("middleware: give either ClientCertificate or ClientCertHeader")
		}
		return cfg.ClientCertificate, nil
	}
	proxies, err := address.ParseNetworks(cfg.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("middleware: TrustedProxies: %w", err)
	}
	source, err := clientcert.NewSource(cfg.ClientCertHeader, cfg.ClientCertFormat, proxies)
	if err != nil {
		return nil, fmt.Errorf("middleware: ClientCertHeader: %w", err)
	}
	return func(r *http.Request) (*x509.Certificate, error) {
		presented, err := source.Of(r)
		return presented.Leaf, err
	}, nil
}
