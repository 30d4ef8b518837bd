package server

import (
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/tokens"
)

// showCertificate demands a certificate of a client whose tokens are bound to one (RFC 8705 §3). No
// authority needs to vouch for the certificate: the token works for whoever has its key.
func (s *Server) showCertificate(x *exchange) error {
	if x.client == nil || !x.client.CertificateBound {
		return nil
	}
	p, err := s.certificateOf(x)
	if err == nil {
		err = clientcert.CheckUse(p.Leaf, s.now())
	}
	if err != nil {
		return &Error{Code: codeInvalidRequest, Reason: Reason(reasonOfCertificate(err)), Err: err,
			Description: "the tokens of this client are bound to its certificate: present a certificate that " +
				"is valid, at the token endpoint of mtls_endpoint_aliases where the metadata has it (RFC 8705 §3)"}
	}
	x.shown.CertificateThumbprint = p.Thumbprint()
	return nil
}

// showBound shows the certificate of a request whose session is bound to one, also of a client that
// is not registered for it any more: what was bound stays bound.
func (s *Server) showBound(x *exchange, to tokens.Confirmation) {
	if !to.HasCertificate() || x.shown.HasCertificate() {
		return
	}
	if p, err := s.certificateOf(x); err == nil && clientcert.CheckUse(p.Leaf, s.now()) == nil {
		x.shown.CertificateThumbprint = p.Thumbprint()
	}
}

// mayBeBoundSince says whether a refresh may have bound the session to a certificate after it was
// remembered here. Then the store must say so, or the request would not show its certificate.
func (s *Server) mayBeBoundSince(x *exchange, cached *tokens.Session) bool {
	if !x.client.Public() || cached.Confirmation.HasCertificate() || x.shown.HasCertificate() {
		return false
	}
	_, err := s.certificateOf(x)
	return err == nil
}

// bindsSession is what the refresh tokens of a session are bound to: those of a public client to
// what the login showed, those of others to the client that authenticates (RFC 8705 §4, RFC 9449
// §5).
func (x *exchange) bindsSession() tokens.Confirmation {
	if x.client.Public() {
		return x.shown
	}
	return tokens.Confirmation{}
}

// provesCertificate says whether a request presents the certificate that an access token is bound
// to (RFC 8705 §3); of a token that is bound to none every request does.
func (s *Server) provesCertificate(x *exchange, bound tokens.Confirmation) bool {
	if !bound.HasCertificate() {
		return true
	}
	s.showBound(x, bound)
	return tokens.Confirmation{CertificateThumbprint: bound.CertificateThumbprint}.ProvedBy(x.shown)
}

// reasonOtherCertificate: a token came without the certificate that it is bound to.
const reasonOtherCertificate Reason = "certificate_not_bound"
