package clientcert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"

	"github.com/grantor-auth/grantor/internal/spiffe"
)

// Kind says what of a certificate names a client (RFC 8705 §2.1.2).
type Kind string

// The kinds, as the members of a registration name them.
const (
	SubjectDN Kind = "tls_client_auth_subject_dn"
	SANDNS    Kind = "tls_client_auth_san_dns"
	SANURI    Kind = "tls_client_auth_san_uri"
	SANIP     Kind = "tls_client_auth_san_ip"
	SANEmail  Kind = "tls_client_auth_san_email"
)

// CheckName says whether text can be the registered name of a kind.
func CheckName(kind Kind, text string) error {
	switch kind {
	case SubjectDN:
		_, err := parseDN(text)
		return err
	case SANIP:
		if a, err := netip.ParseAddr(text); err != nil || a.Zone() != "" {
			return errors.New("must be an address, such as 192.0.2.1 or 2001:db8::1")
		}
	case SANURI:
		if u, err := url.Parse(text); err != nil || u.Scheme == "" || !isASCII(text) {
			return errors.New("must be an absolute URI, such as spiffe://example.org/billing")
		}
	case SANEmail:
		if a, err := mail.ParseAddress(text); err != nil || a.Address != text || !isASCII(text) {
			return errors.New("must be an address such as billing@example.com")
		}
	case SANDNS:
		if !isASCII(text) || strings.ContainsAny(text, " *:/@") || strings.Trim(text, ".") != text {
			return errors.New("must be a DNS name, such as billing.example.com, without wildcard")
		}
	default:
		return fmt.Errorf("%q is no name of certificates", kind)
	}
	return nil
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}

// Named says whether a certificate has a registered name. DNS names, and what follows the @ of an
// e-mail address, are the same in upper and lower case (RFC 5280 §7.2, §7.5); all else must be
// equal. A wildcard in a certificate stands for nothing but itself.
func Named(c *x509.Certificate, kind Kind, text string) bool {
	if text == "" {
		return false
	}
	switch kind {
	case SubjectDN:
		return namedSubject(c, text)
	case SANDNS:
		return anySAN(c, 2, func(v []byte) bool { return strings.EqualFold(string(v), text) })
	case SANURI:
		return anySAN(c, 6, func(v []byte) bool { return string(v) == text }) && (!strings.HasPrefix(text, spiffe.Scheme) || isSVID(c))
	case SANEmail:
		return anySAN(c, 1, func(v []byte) bool { return sameMailbox(string(v), text) })
	case SANIP:
		want, err := netip.ParseAddr(text)
		return err == nil && anySAN(c, 7, func(v []byte) bool {
			a, ok := netip.AddrFromSlice(v)
			return ok && a == want.Unmap() // in binary: mapped IPv4 is another name
		})
	}
	return false
}

// isSVID says whether a certificate with a SPIFFE ID may be a workload's: it has one URI alone, and
// signs no certificates (SPIFFE X.509-SVID §2, §5.2).
func isSVID(c *x509.Certificate) bool {
	return len(c.URIs) == 1 && !c.IsCA && c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) == 0
}

func sameMailbox(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	return i >= 0 && j >= 0 && a[:i] == b[:j] && strings.EqualFold(a[i:], b[j:])
}

// anySAN says whether a subject alternative name of a kind fits (RFC 5280 §4.2.1.6). The names are
// read as they are encoded: crypto/x509 shows URIs parsed.
func anySAN(c *x509.Certificate, tag int, fits func([]byte) bool) bool {
	for _, e := range c.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			return false
		}
		for _, n := range names {
			if n.Class == asn1.ClassContextSpecific && n.Tag == tag && !n.IsCompound && fits(n.Bytes) {
				return true
			}
		}
	}
	return false
}
