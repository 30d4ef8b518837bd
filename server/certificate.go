package server

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// certificateOf returns the certificate that a request presents. It is asked for clients that use
// one, and for no others.
func (s *Server) certificateOf(x *exchange) (clientcert.Presented, error) {
	if x.certificate != nil {
		return *x.certificate, nil
	}
	if s.cfg.Certificates == nil {
		return clientcert.Presented{}, clientcert.ErrNone
	}
	p, err := s.cfg.Certificates.Of(x.gin.Request)
	if err == nil {
		x.certificate = &p
	}
	return p, err
}

// leafOf returns the certificate that a request of the admin listener presents.
func (s *Server) leafOf(r *http.Request) (*x509.Certificate, error) {
	if s.cfg.Certificates == nil {
		return nil, clientcert.ErrNone
	}
	p, err := s.cfg.Certificates.Of(r)
	return p.Leaf, err
}

// authenticateByName authenticates a client of which a request says the id alone: a public client,
// or one that proves itself by its certificate (RFC 8705 §2). Whoever presents a certificate costs
// the same work for each refusal.
func (s *Server) authenticateByName(x *exchange, creds clients.Credentials) (clients.Proof, error) {
	proof, err := clients.Authenticate(x, s.cfg.Clients, creds, s.now())
	if err == nil {
		return proof, nil
	}
	_, refused := errors.AsType[*clients.AuthError](err)
	byCertificate := errors.Is(err, clients.ErrByCertificate)
	if !refused && !byCertificate {
		return clients.Proof{}, err
	}
	p, read := s.certificateOf(x)
	var judged error
	if read == nil {
		judged = s.cfg.Authorities.Check(p, s.now())
	}
	if refused {
		return clients.Proof{}, err
	}
	return s.proveByCertificate(x, proof.Client, p, errors.Join(read, judged))
}

// proveByCertificate returns the proof of a client that is registered for a certificate. err is
// what is wrong with the certificate that came, as far as authorities say.
func (s *Server) proveByCertificate(
	x *exchange, c *clients.Client, p clientcert.Presented, err error,
) (clients.Proof, error) {
	proof, reason := clients.Proof{}, reasonOfCertificate(err)
	switch {
	case x.form.Get("client_id") == "": // RFC 8705 §2: the parameter is required
		reason = clients.ReasonMethod
	case p.Leaf != nil && c.Method == clients.MethodSelfSigned:
		reason, err = s.inKeys(x, c, p)
	case reason == "" && !c.Named(p.Leaf):
		reason = clients.ReasonCertificateName
	}
	if errors.Is(err, jwt.ErrCrowded) {
		return proof, err
	}
	if reason == "" {
		proof = clients.ByCertificate(c, p.Thumbprint())
		if c.Disabled {
			reason = clients.ReasonDisabled
		}
	}
	if reason != "" {
		return clients.Proof{}, &clients.AuthError{ID: c.ID, Credential: proof.Credential, Reason: reason, Err: err}
	}
	return proof, nil
}

// reasonOfCertificate says why a certificate counts for nothing; "": it counts.
func reasonOfCertificate(err error) clients.AuthReason {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, clientcert.ErrNone):
		return clients.ReasonNoCertificate
	case errors.Is(err, clientcert.ErrNotTrusted):
		return clients.ReasonCertificatePeer
	case errors.Is(err, clientcert.ErrExpired):
		return clients.ReasonCertificateExpired
	case errors.Is(err, clientcert.ErrPurpose):
		return clients.ReasonCertificatePurpose
	case errors.Is(err, clientcert.ErrAuthority):
		return clients.ReasonCertificateAuthority
	}
	return clients.ReasonCertificateHeader
}

// inKeys looks for a certificate among those that a client registered or publishes (RFC 8705 §2.2).
// A set that lacks the certificate is fetched anew, at most once a minute.
func (s *Server) inKeys(x *exchange, c *clients.Client, p clientcert.Presented) (clients.AuthReason, error) {
	if err := clientcert.CheckUse(p.Leaf, s.now()); err != nil {
		return reasonOfCertificate(err), err
	}
	keys, err := s.keysOf(c)
	for _, kid := range []string{"", thumbprintText(p.Thumbprint())} {
		if err != nil {
			break
		}
		var found bool
		if found, err = hasCertificate(x, keys, kid, p, s.now()); found {
			return "", nil
		}
	}
	if err != nil {
		return clients.AuthReason("keys_unavailable"), err
	}
	return clients.ReasonCertificateUnknown, nil
}

func hasCertificate(
	ctx context.Context, keys jwt.Source, kid string, p clientcert.Presented, now time.Time,
) (bool, error) {
	set, err := keys.Keys(ctx, kid)
	return err == nil && set.HasCertificate(p.Leaf, now), err
}

// keysOf returns the keys that a client registered, or publishes.
func (s *Server) keysOf(c *clients.Client) (jwt.Source, error) {
	switch {
	case c.JWKS != nil:
		return c.JWKS, nil
	case s.cfg.Assertions == nil:
		return nil, errNoAssertions
	}
	return s.cfg.Assertions.KeysAt(c.JWKSURI)
}

// thumbprintText is a thumbprint as cnf has it (RFC 8705 §3.1).
func thumbprintText(t clientcert.Thumbprint) string {
	return base64.RawURLEncoding.EncodeToString(t[:])
}
