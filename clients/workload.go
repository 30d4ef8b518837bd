package clients

import (
	"errors"
	"fmt"
	"strings"

	"github.com/grantor-auth/grantor/internal/spiffe"
)

// Workload names the platform's tokens that prove a client: iss and sub. Of a JWT-SVID the issuer
// is the trust domain ("spiffe://example.org"), and the subject a SPIFFE ID in it.
type Workload struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// checkSVID demands a workload of the trust domain, where the issuer is one of SPIFFE.
func (w *Workload) checkSVID() error {
	if !strings.HasPrefix(w.Issuer, spiffe.Scheme) {
		return nil
	}
	id, err := spiffe.Parse(w.Subject)
	if err == nil && (id.Path == "" || id.Authority() != w.Issuer) {
		err = errors.New("it names no workload of this trust domain")
	}
	if err != nil {
		return fmt.Errorf("subject must be a SPIFFE ID below the issuer, as in %q: %w", w.Issuer+"/billing", err)
	}
	return nil
}
