package clientcert

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"time"
)

// Errors of certificates that do not hold, at the moment of their use.
var (
	ErrExpired   = errors.New("the certificate has expired, or is not valid yet")
	ErrPurpose   = errors.New("the certificate is not for client authentication (RFC 5280 §4.2.1.12)")
	ErrAuthority = errors.New("no authority of client_ca_file vouches for the certificate")
)

// Authorities are those whose certificates prove clients (RFC 8705 §2.1). They do not change.
type Authorities struct {
	roots *x509.CertPool
	end   time.Time
}

// ReadAuthorities reads certificates in PEM.
func ReadAuthorities(text []byte) (*Authorities, error) {
	a := &Authorities{roots: x509.NewCertPool()}
	if !a.roots.AppendCertsFromPEM(text) {
		return nil, errors.New("there is no certificate in PEM in it")
	}
	a.end = firstEnd(text)
	return a, nil
}

// End returns when the first of the authorities expires; zero of nil.
func (a *Authorities) End() time.Time {
	if a == nil {
		return time.Time{}
	}
	return a.end
}

// firstEnd passes over what AppendCertsFromPEM passes over.
func firstEnd(text []byte) (end time.Time) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && (end.IsZero() || c.NotAfter.Before(end)) {
			end = c.NotAfter
		}
	}
	return end
}

// Check holds a certificate against the authorities: chain, validity at now, and purpose. Errors
// are those above. Nothing is fetched: no issuer by URL, and no revocation list.
func (a *Authorities) Check(p Presented, now time.Time) error {
	if err := CheckUse(p.Leaf, now); err != nil {
		return err
	}
	if a == nil {
		return ErrAuthority
	}
	_, err := p.Leaf.Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: between(p.Chain), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return ErrAuthority
	}
	return nil
}

// Bounds of the certificates between a client's and an authority. Who may present them need not be
// a client: without bounds, eight of one name cost a hundred signatures of slow keys.
const (
	maxBetween = 4
	maxAlike   = 2 // of one name, for authorities that others have signed too
)

// between returns the first certificates of a chain, within the bounds.
func between(chain []*x509.Certificate) *x509.CertPool {
	pool, named := x509.NewCertPool(), map[string]int{}
	for _, c := range chain[:min(len(chain), maxBetween)] {
		if name := string(c.RawSubject); named[name] < maxAlike {
			named[name]++
			pool.AddCert(c)
		}
	}
	return pool
}

// CheckUse says whether a certificate may be used at now to authenticate a client, whoever made it:
// ErrExpired or ErrPurpose. A certificate that names no purpose is for all.
func CheckUse(c *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return ErrExpired
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0:
		return nil
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return ErrPurpose
	}
	return nil
}
