package parts

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/config"
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
