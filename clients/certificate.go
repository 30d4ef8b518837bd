package clients

import (
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/internal/clientcert"
)

// certificateName is one way to name a client in its certificate (RFC 8705 §2.1.2).
type certificateName struct {
	kind clientcert.Kind
	text string // "": not registered
}

func (r *Registration) certificateNames() []certificateName {
	return []certificateName{
		{clientcert.SubjectDN, r.TLSSubjectDN},
		{clientcert.SANDNS, r.TLSSANDNS},
		{clientcert.SANURI, r.TLSSANURI},
		{clientcert.SANIP, r.TLSSANIP},
		{clientcert.SANEmail, r.TLSSANEmail},
	}
}

// CertificateNames are the members that name a client in its certificate.
func CertificateNames() (members []string) {
	for _, n := range new(Registration).certificateNames() {
		members = append(members, string(n.kind))
	}
	return members
}

// checkCertificateNames says what is wrong with how a certificate names the client: tls_client_auth
// needs one name, and other methods have none (RFC 8705 §2.1.2).
func (c *Client) checkCertificateNames(bad badFunc) {
	said := 0
	for _, n := range c.certificateNames() {
		if n.text == "" {
			continue
		}
		said++
		if err := clientcert.CheckName(n.kind, n.text); err != nil {
			bad(string(n.kind), "%w", err)
		}
		if c.Method != MethodTLS {
			bad(string(n.kind), `is for token_endpoint_auth_method = "tls_client_auth"`)
		}
	}
	if c.Method == MethodTLS && said != 1 {
		bad("token_endpoint_auth_method", `"tls_client_auth" needs exactly one of %s; there are %d`,
			strings.Join(CertificateNames(), ", "), said)
	}
	if c.Method.ByCertificate() && len(c.Secrets) > 0 {
		bad("secrets", "a client that authenticates by %q has no secret", c.Method)
	}
}

// checkOwnCertificates says what is wrong with the certificates of self_signed_tls_client_auth.
func (c *Client) checkOwnCertificates(bad badFunc) {
	switch {
	case (c.JWKS == nil) == (c.JWKSURI == ""):
		bad("jwks", `"self_signed_tls_client_auth" needs one of jwks and jwks_uri, with the client's certificate as x5c, or its public key`)
	case c.JWKS != nil && c.JWKS.Len() == 0:
		bad("jwks", "holds no key that can be used: public keys only, RSA of 2048 bits at least, P-256, P-384, P-521 or Ed25519")
	case c.JWKSURI != "" && !strings.HasPrefix(c.JWKSURI, "https://"):
		bad("jwks_uri", "must be an https URL (RFC 7591 §2)")
	}
}

// Certificates says which certificates of clients a server can read and judge.
type Certificates struct {
	Read        bool // of TLS, or of a proxy's header
	Authorities bool // there are some, for tls_client_auth
}

// Check returns what a server lacks for the client, as a *FieldError; nil: nothing.
func (has Certificates) Check(r *Registration) error {
	bad := func(field, text string) error { return &FieldError{Field: field, Err: errorText(text)} }
	switch {
	case r.Method.ByCertificate() && !has.Read:
		return bad("token_endpoint_auth_method", string(r.Method)+" needs certificates of clients, which this server does not read: set [tls] client_ca_file, request_client_certs or client_cert_header")
	case r.Method == MethodTLS && !has.Authorities:
		return bad("token_endpoint_auth_method", "tls_client_auth needs the authorities of clients: set [tls] client_ca_file")
	case r.CertificateBound && !has.Read:
		return bad("tls_client_certificate_bound_access_tokens", "needs certificates of clients, which this server does not read: set [tls] client_ca_file, request_client_certs or client_cert_header")
	}
	return nil
}

type errorText string

func (e errorText) Error() string { return string(e) }

// Named says whether a certificate has the name that the client registered.
func (c *Client) Named(cert *x509.Certificate) bool {
	return slices.ContainsFunc(c.certificateNames(), func(n certificateName) bool {
		return n.text != "" && clientcert.Named(cert, n.kind, n.text)
	})
}

const credentialCertificate = "cert:"

// ByCertificate is the proof of a client by a certificate.
func ByCertificate(c *Client, t clientcert.Thumbprint) Proof {
	return Proof{Client: c, Credential: CertificateCredential(t)}
}

// CertificateCredential names a certificate as Proof does: by the first 16 digits of its SHA-256.
func CertificateCredential(t clientcert.Thumbprint) string {
	return credentialCertificate + hex.EncodeToString(t[:8])
}
