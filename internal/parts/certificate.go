package parts

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/clientcert"
)

// Certificate reads what serves TLS; nil without [tls] mode = "files".
func Certificate(t config.TLS) (*tls.Certificate, error) {
	if t.Mode != "files" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("cert_file and key_file: %w", err)}
	}
	return &pair, nil
}

// CheckExpiry returns an error when the certificate has expired, for a start. A reload does not
// ask: the certificate is in force already, and another change must not wait for a new certificate.
func CheckExpiry(t config.TLS) error {
	pair, err := Certificate(t)
	if err != nil || pair == nil {
		return err
	}
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate in %s ended at %s: every client refuses it", t.CertFile, end.UTC().Format(time.RFC3339))
	}
	return nil
}

// Authorities reads those that vouch for certificates of clients; nil without [tls] client_ca_file.
func Authorities(t config.TLS) (*clientcert.Authorities, error) {
	if t.ClientCAFile == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	text, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("client_ca_file: %w", err)}
	}
	list, err := clientcert.ReadAuthorities(text)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("client_ca_file: %w", err)}
	}
	return list, nil
}
