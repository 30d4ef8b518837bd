package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"
)

// soon is how long before its end a certificate is a warning.
const soon = 30 * 24 * time.Hour

const (
	cureFile  = "name files that the user of the server can read: cert_file with the whole chain, key_file with its key"
	cureRenew = "renew the certificate; Grantor reads the new files at the next reload"
)

func checkPair(_ context.Context, s *subject) []Finding {
	pair, err := tls.LoadX509KeyPair(s.cfg.TLS.CertFile, s.cfg.TLS.KeyFile)
	if err != nil {
		return []Finding{fault("cert_file and key_file: "+err.Error(), cureFile)}
	}
	return []Finding{ok("certificate and key belong together: " + named(pair.Leaf))}
}

// named is how a certificate is called in a text.
func named(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return c.Subject.String()
}

// errUnread is what other checks of a certificate say.
const errUnread = "the certificate cannot be read; see tls.certificate"

func checkNames(_ context.Context, s *subject) (found []Finding) {
	chain, err := certificates(s.cfg.TLS.CertFile)
	if err != nil {
		return []Finding{unknown(errUnread)}
	}
	for key, text := range map[string]string{"issuer": s.cfg.Issuer, "mtls_url": s.cfg.TLS.MTLSURL} {
		u, err := url.Parse(text)
		if text == "" || err != nil || u.Scheme != "https" {
			continue
		}
		if err := chain[0].VerifyHostname(u.Hostname()); err != nil {
			found = append(found, fault(fmt.Sprintf("%s is %s, and the certificate has other names: %s", key, text, err),
				"get a certificate with that name as a subject alternative name, or correct "+key))
		}
	}
	return orOK(found, "the certificate has the names that clients use")
}

// certificates reads a file of PEM.
func certificates(file string) (list []*x509.Certificate, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, errors.New("holds no PEM certificate")
	}
	return list, nil
}

func checkChain(_ context.Context, s *subject) []Finding {
	chain, err := certificates(s.cfg.TLS.CertFile)
	if err != nil {
		return []Finding{unknown(errUnread)}
	}
	leaf := chain[0]
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return []Finding{fault("the certificate is not for servers: its extended key usage lacks serverAuth", "get a certificate for a TLS server")}
	}
	for i := range len(chain) - 1 {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			return []Finding{fault(fmt.Sprintf("certificate %d in cert_file did not sign the one before it: %s", i+2, err),
				"put the certificate of the server first, and behind it those that signed it, one after the other")}
		}
	}
	last := chain[len(chain)-1]
	if trusted(chain, s.options.Now()) || last.Subject.String() == last.Issuer.String() {
		return []Finding{ok(fmt.Sprintf("the chain has %d certificates, each signed by the next", len(chain)))}
	}
	if len(last.IssuingCertificateURL) > 0 && len(chain) == 1 {
		return []Finding{warning(fmt.Sprintf("cert_file holds one certificate alone, and this machine does not trust who signed it, %s: an intermediate certificate seems to be missing", last.Issuer),
			"put the intermediate certificates behind it, such as certbot's fullchain.pem")}
	}
	return []Finding{ok(fmt.Sprintf("the chain ends at an authority that this machine does not trust, and that clients must: %s", last.Issuer))}
}

// trusted says whether this machine trusts a chain, whatever the names and times in it.
func trusted(chain []*x509.Certificate, now time.Time) bool {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if now.After(chain[0].NotAfter) || now.Before(chain[0].NotBefore) {
		now = chain[0].NotBefore.Add(time.Second)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: now})
	return err == nil
}

func checkExpiry(_ context.Context, s *subject) []Finding {
	chain, err := certificates(s.cfg.TLS.CertFile)
	if err != nil {
		return []Finding{unknown(errUnread)}
	}
	return orOK(ends(chain, s.options.Now(), cureRenew), "the certificate ends at "+moment(chain[0].NotAfter))
}

// ends tells which certificates have not begun, have ended, or end soon.
func ends(list []*x509.Certificate, now time.Time, cure string) (found []Finding) {
	for _, c := range list {
		switch {
		case now.Before(c.NotBefore):
			found = append(found, fault(fmt.Sprintf("the certificate of %s begins at %s", named(c), moment(c.NotBefore)), "look at the clock of this machine, or use the earlier certificate until then"))
		case now.After(c.NotAfter):
			found = append(found, fault(fmt.Sprintf("the certificate of %s ended at %s", named(c), moment(c.NotAfter)), cure))
		case now.Add(soon).After(c.NotAfter):
			found = append(found, warning(fmt.Sprintf("the certificate of %s ends at %s, in %s", named(c), moment(c.NotAfter), inDays(c.NotAfter.Sub(now))), cure))
		}
	}
	return found
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// inDays is a duration as people say it.
func inDays(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func checkAuthorities(_ context.Context, s *subject) []Finding {
	list, err := certificates(s.cfg.TLS.ClientCAFile)
	if err != nil {
		return []Finding{fault("client_ca_file: "+err.Error(), "name a PEM file of the authorities that sign the certificates of clients")}
	}
	return orOK(ends(list, s.options.Now(), "put the authority's new certificate into client_ca_file beside the old one"),
		fmt.Sprintf("client_ca_file has %d authorities", len(list)))
}

func checkRedisCertificate(_ context.Context, s *subject) []Finding {
	list, err := certificates(s.cfg.Redis.CertFile)
	if err != nil {
		return []Finding{fault("[redis] cert_file: "+err.Error(), "name the PEM file of the certificate that Grantor shows to Redis")}
	}
	return orOK(ends(list[:1], s.options.Now(), "renew the certificate; the next connection to Redis shows it"), "the certificate for Redis ends at "+moment(list[0].NotAfter))
}
