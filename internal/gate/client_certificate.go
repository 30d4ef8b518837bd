package gate

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"

	"github.com/grantor-auth/grantor/internal/clientcert"
)

// ClientCert is how a proxy that ends TLS says which certificate its client presented, for tokens
// that are bound to one (RFC 8705 §3).
type ClientCert struct {
	Header string // that the proxy writes, and takes away from what clients send; "": such tokens are refused
	Format string // see CertificateFormats; "": that of a well-known header
}

// CertificateFormats returns the values of ClientCert.Format.
func CertificateFormats() []string { return clientcert.Formats() }

// certificates returns what finds the client's certificate in a check. Only a proxy reaches the
// gate, so whoever asks is believed; the certificate of the proxy's own connection is nobody's.
func (cfg Config) certificates() (func(*http.Request) (*x509.Certificate, error), error) {
	if cfg.ClientCert == (ClientCert{}) {
		return func(r *http.Request) (*x509.Certificate, error) {
			cfg.Log.WarnContext(r.Context(), "a token bound to a certificate cannot be checked",
				"remedy", "let the proxy send the client's certificate, and name its header in --client-cert-header")
			return nil, clientcert.ErrNone
		}, nil
	}
	if cfg.ClientCert.Header == "" {
		return nil, errors.New("gate: a format of certificates needs the name of the header")
	}
	source, err := clientcert.FromProxy(cfg.ClientCert.Header, cfg.ClientCert.Format)
	if err != nil {
		return nil, errors.New("gate: " + strings.ReplaceAll(err.Error(), "client_cert_format", "--client-cert-format"))
	}
	return func(r *http.Request) (*x509.Certificate, error) {
		presented, err := source.Of(r)
		return presented.Leaf, err
	}, nil
}
