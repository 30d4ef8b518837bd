// Package clientcert finds the client certificate of a request (RFC 8705): the one of the TLS
// handshake, or the one that a trusted proxy wrote into a header. It also holds a certificate
// against certificate authorities, and against the name that a client registered.
//
// A certificate is presented, and not believed: whoever asks decides by Authorities, by registered
// keys, or by a thumbprint that a token is bound to. That the client has the private key was shown
// in the handshake, to us or to the proxy.
package clientcert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/grantor-auth/grantor/internal/address"
)

// Presented is the certificate that a client presents.
type Presented struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // further certificates, which may lead to an authority
}

// Thumbprint is the SHA-256 of a certificate's DER (RFC 8705 §3.1).
type Thumbprint = [sha256.Size]byte

// Thumbprint returns the thumbprint of the client's certificate.
func (p Presented) Thumbprint() Thumbprint { return sha256.Sum256(p.Leaf.Raw) }

// Errors of Of, beside *HeaderError.
var (
	// ErrNone: the request presents no certificate.
	ErrNone = errors.New("the request presents no client certificate")
	// ErrNotTrusted: a peer that is no trusted proxy sent the header. It counts for nothing.
	ErrNotTrusted = errors.New("a peer outside trusted_proxies sent the header of client certificates")
)

// HeaderError says why the header of a trusted proxy cannot be used. It quotes nothing of the
// header.
type HeaderError struct{ Why string }

func (e *HeaderError) Error() string {
	return "the header of client certificates cannot be used: " + e.Why
}

func unusable(format string, args ...any) error {
	return &HeaderError{fmt.Sprintf(format, args...)}
}

// Source says where the certificates of requests come from. It does not change.
type Source struct {
	header  string // canonical; "": TLS alone
	read    formatFunc
	proxies address.Networks
	all     bool // every peer is a trusted proxy
}

// formatFunc reads the one value of the header. rest are the other headers of the request.
type formatFunc func(value string, rest http.Header) ([][]byte, error)

// NewSource returns a source. header is the name of the header that the proxies write, "" for none;
// format says how they write it, see Formats, and "" takes the format of a well-known header.
// proxies are the peers whose header is believed.
func NewSource(header, format string, proxies address.Networks) (*Source, error) {
	if header == "" {
		return &Source{proxies: proxies}, nil
	}
	s, err := ofHeader(header, format)
	if err != nil {
		return nil, err
	}
	if len(proxies) == 0 {
		return nil, errors.New("a header of client certificates is believed from trusted_proxies alone, and there are none")
	}
	s.proxies = proxies
	return s, nil
}

// FromProxy returns a source that believes the header of every peer. It is for what only a proxy
// can reach.
func FromProxy(header, format string) (*Source, error) {
	s, err := ofHeader(header, format)
	if err != nil {
		return nil, err
	}
	s.all = true
	return s, nil
}

func ofHeader(header, format string) (*Source, error) {
	if err := CheckHeader(header); err != nil {
		return nil, err
	}
	read, err := formatOf(header, format)
	if err != nil {
		return nil, err
	}
	return &Source{header: http.CanonicalHeaderKey(header), read: read}, nil
}

// CheckHeader says whether text can name the header: letters, digits and hyphens, and no header
// that means something else.
func CheckHeader(text string) error {
	for i := range len(text) {
		if c := text[i] | 0x20; (c < 'a' || c > 'z') && (text[i] < '0' || text[i] > '9') && text[i] != '-' {
			return fmt.Errorf("%q is no header name of letters, digits and hyphens, such as %q", text, HeaderRFC9440)
		}
	}
	switch strings.ToLower(text) {
	case "authorization", "cookie", "dpop", "host", "forwarded", "x-forwarded-for", "client-cert-chain":
		return fmt.Errorf("%q is the name of another header", text)
	}
	return nil
}

// Of returns the certificate of a request: of a trusted proxy the one in its header, of any other
// peer the one of the TLS handshake. The certificate of a trusted proxy's own connection is the
// proxy's, and no client's. Errors are ErrNone, ErrNotTrusted or *HeaderError.
func (s *Source) Of(r *http.Request) (Presented, error) {
	trusted := s.all || len(s.proxies) > 0 && s.proxies.Contain(address.PeerOf(r))
	switch {
	case trusted && s.header != "":
		return s.ofHeader(r.Header)
	case trusted:
		return Presented{}, ErrNone
	}
	p, err := ofTLS(r.TLS)
	if err != nil && s.header != "" && len(r.Header[s.header]) > 0 {
		return Presented{}, ErrNotTrusted
	}
	return p, err
}

func ofTLS(state *tls.ConnectionState) (Presented, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return Presented{}, ErrNone
	}
	return Presented{state.PeerCertificates[0], state.PeerCertificates[1:]}, nil
}

// maxHeaderBytes is how long the header may be.
const maxHeaderBytes = 12 << 10

func (s *Source) ofHeader(h http.Header) (Presented, error) {
	lines := h[s.header]
	switch {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return Presented{}, ErrNone
	case len(lines) > 1:
		return Presented{}, unusable("it occurs %d times: the proxy must replace what its client sends", len(lines))
	case len(lines[0]) > maxHeaderBytes:
		return Presented{}, unusable("it is longer than %d bytes", maxHeaderBytes)
	}
	list, err := s.read(lines[0], h)
	if err != nil {
		return Presented{}, err
	}
	return parse(list)
}
