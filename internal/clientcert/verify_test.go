package clientcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
)

func presented(c tls.Certificate, chain ...*x509.Certificate) clientcert.Presented {
	return clientcert.Presented{Leaf: c.Leaf, Chain: chain}
}

func TestAuthorities(t *testing.T) {
	ca := certtest.NewCA(t)
	trusted, err := clientcert.ReadAuthorities(ca.PEM())
	require.NoError(t, err)
	now := time.Now()
	t.Run("MT-01 RFC 8705 §2.1 a chain to an authority", func(t *testing.T) {
		require.NoError(t, trusted.Check(presented(ca.Issue(t, nil)), now))
	})
	t.Run("MT-01 no purpose is every purpose", func(t *testing.T) {
		require.NoError(t, trusted.Check(presented(ca.Issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = nil })), now))
	})
	for name, one := range map[string]struct {
		cert tls.Certificate
		want error
	}{
		"expired":       {ca.Issue(t, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), clientcert.ErrExpired},
		"not valid yet": {ca.Issue(t, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }), clientcert.ErrExpired},
		"for servers":   {ca.Issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), clientcert.ErrPurpose},
		"of an unknown purpose": {ca.Issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		}), clientcert.ErrPurpose},
		"of another authority": {certtest.NewCA(t).Issue(t, nil), clientcert.ErrAuthority},
		"of itself":            {certtest.SelfSigned(t, nil), clientcert.ErrAuthority},
		"critical and not known": {ca.Issue(t, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), clientcert.ErrAuthority},
	} {
		t.Run("MT-01 RFC 8705 §2.1 refused: "+name, func(t *testing.T) {
			require.ErrorIs(t, trusted.Check(presented(one.cert), now), one.want)
		})
	}
	t.Run("MT-01 the authority of another client is none in the chain", func(t *testing.T) {
		foreign := certtest.NewCA(t)
		list, err := clientcert.ReadAuthorities(foreign.PEM())
		require.NoError(t, err)
		require.NoError(t, list.Check(presented(foreign.Issue(t, nil)), now))
		require.ErrorIs(t, trusted.Check(presented(foreign.Issue(t, nil), foreign.Issue(t, nil).Leaf), now), clientcert.ErrAuthority)
	})
	t.Run("MT-01 RFC 5280 §6.1 authorities between", func(t *testing.T) {
		at, chain := ca, []*x509.Certificate{}
		for _, name := range []string{"a", "b", "c", "d"} {
			at = at.Under(t, name)
			chain = append([]*x509.Certificate{at.Leaf()}, chain...)
		}
		leaf := at.Issue(t, nil)
		require.NoError(t, trusted.Check(presented(leaf, chain...), now))
		require.ErrorIs(t, trusted.Check(presented(leaf, chain[1:]...), now), clientcert.ErrAuthority)
		require.ErrorIs(t, trusted.Check(presented(leaf, append([]*x509.Certificate{leaf.Leaf}, chain...)...), now), clientcert.ErrAuthority, "five are too many")
	})
	t.Run("MT-01 a chain that branches to make signatures cost: two of one name are tried, and no third", func(t *testing.T) {
		own, alike := ca.Under(t, "x"), certtest.NewCA(t).Under(t, "x").Leaf()
		leaf := own.Issue(t, nil)
		require.NoError(t, trusted.Check(presented(leaf, alike, own.Leaf()), now))
		require.ErrorIs(t, trusted.Check(presented(leaf, alike, certtest.NewCA(t).Under(t, "x").Leaf(), own.Leaf()), now), clientcert.ErrAuthority)
	})
	t.Run("no authorities", func(t *testing.T) {
		var none *clientcert.Authorities
		require.ErrorIs(t, none.Check(presented(ca.Issue(t, nil)), now), clientcert.ErrAuthority)
		_, err := clientcert.ReadAuthorities([]byte("hello"))
		require.Error(t, err)
	})
}

func TestNamed(t *testing.T) {
	spiffe, err := url.Parse("spiffe://example.org/billing")
	require.NoError(t, err)
	c := certtest.SelfSigned(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"billing.Example.com", "*.example.net"}
		c.URIs = []*url.URL{spiffe}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::1")}
		c.EmailAddresses = []string{"Billing@example.com"}
	}).Leaf
	for name, one := range map[string]struct {
		kind clientcert.Kind
		text string
		want bool
	}{
		"dns":                            {clientcert.SANDNS, "billing.example.com", true},
		"dns: another":                   {clientcert.SANDNS, "example.com", false},
		"dns: a wildcard is no wildcard": {clientcert.SANDNS, "a.example.net", false},
		"dns: the common name is none":   {clientcert.SANDNS, "client of a test", false},
		"uri":                            {clientcert.SANURI, "spiffe://example.org/billing", true},
		"uri: a part of it":              {clientcert.SANURI, "spiffe://example.org/bill", false},
		"uri: in another case":           {clientcert.SANURI, "spiffe://EXAMPLE.org/billing", false},
		"ip":                             {clientcert.SANIP, "192.0.2.7", true},
		"ip: mapped":                     {clientcert.SANIP, "::ffff:192.0.2.7", true},
		"ip: IPv6 in another spelling":   {clientcert.SANIP, "2001:DB8:0:0::1", true},
		"ip: another":                    {clientcert.SANIP, "192.0.2.8", false},
		"email":                          {clientcert.SANEmail, "Billing@EXAMPLE.com", true},
		"email: the box in another case": {clientcert.SANEmail, "billing@example.com", false},
		"a name of another kind":         {clientcert.SANURI, "billing.example.com", false},
		"no name":                        {clientcert.SANDNS, "", false},
		"an unknown kind":                {"x", "x", false},
	} {
		t.Run("MT-01 RFC 8705 §2.1.2 "+name, func(t *testing.T) {
			require.Equal(t, one.want, clientcert.Named(c, one.kind, one.text))
		})
	}
	t.Run("a certificate without such names has none", func(t *testing.T) {
		require.False(t, clientcert.Named(certtest.SelfSigned(t, nil).Leaf, clientcert.SANDNS, "billing.example.com"))
	})
}

func TestNamedByAddress(t *testing.T) {
	cert := certtest.SelfSigned(t, func(c *x509.Certificate) {
		value, err := asn1.Marshal([]asn1.RawValue{
			{Class: asn1.ClassContextSpecific, Tag: 7, Bytes: netip.MustParseAddr("::ffff:192.0.2.7").AsSlice()},
			{Class: asn1.ClassContextSpecific, Tag: 7, Bytes: netip.MustParseAddr("64:ff9b::192.0.2.8").AsSlice()}})
		require.NoError(t, err)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}
	}).Leaf
	for _, text := range []string{"192.0.2.7", "192.0.2.8"} {
		require.False(t, clientcert.Named(cert, clientcert.SANIP, text), "MT-01 RFC 8705 §2.1.2 addresses are compared in binary: "+text)
	}
	require.True(t, clientcert.Named(cert, clientcert.SANIP, "64:ff9b::c000:208"))
}

func TestNamedBySVID(t *testing.T) {
	const id = "spiffe://example.org/billing"
	one, err := url.Parse(id)
	require.NoError(t, err)
	two, err := url.Parse("https://example.org")
	require.NoError(t, err)
	for name, row := range map[string]struct {
		edit func(*x509.Certificate)
		text string
		want bool
	}{
		"an X.509-SVID":    {func(*x509.Certificate) {}, id, true},
		"§2 two URIs":      {func(c *x509.Certificate) { c.URIs = append(c.URIs, two) }, id, false},
		"§5.2 a CA":        {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, id, false},
		"§5.2 keyCertSign": {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, id, false},
		"§5.2 cRLSign":     {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }, id, false},
		"no SVID":          {func(c *x509.Certificate) { c.URIs = append(c.URIs, two) }, "https://example.org", true},
	} {
		t.Run("MT-01 SPIFFE X.509-SVID "+name, func(t *testing.T) {
			cert := certtest.SelfSigned(t, func(c *x509.Certificate) {
				c.URIs = []*url.URL{one}
				row.edit(c)
			})
			require.Equal(t, row.want, clientcert.Named(cert.Leaf, clientcert.SANURI, row.text))
		})
	}
}

func TestCheckName(t *testing.T) {
	for kind, texts := range map[clientcert.Kind][]string{
		clientcert.SANDNS:    {"", "*.example.com", "https://a", "a b", "exämple.com", "a.", "10.0.0.1:80"},
		clientcert.SANURI:    {"", "example.com", "spiffe://a b", ":"},
		clientcert.SANIP:     {"", "10.0.0.0/8", "example.com", "fe80::1%eth0"},
		clientcert.SANEmail:  {"", "a", "Ada <ada@example.com>", "a b@example.com"},
		clientcert.SubjectDN: {"", "billing", "CN", "=x", "CN=a,", "CN=a,,O=b", "XX=a", "CN=a;O=b", `CN="a"`, `CN=a\`, `CN=\zz`, "CN=#", "CN=#zz", "CN=#0c01", "CN=a<b", "CN=\x00", `CN=\ff`, "1..2=a", "01.2=a"},
		"x":                  {"a"},
	} {
		for _, text := range texts {
			require.Error(t, clientcert.CheckName(kind, text), "%s %q", kind, text)
		}
	}
	for kind, text := range map[clientcert.Kind]string{clientcert.SANDNS: "a.example.com", clientcert.SANURI: "urn:a:b", clientcert.SANIP: "::1",
		clientcert.SANEmail: "ada@example.com", clientcert.SubjectDN: "CN=a"} {
		require.NoError(t, clientcert.CheckName(kind, text))
	}
}

func value(t *testing.T, tag int, text string) asn1.RawValue {
	t.Helper()
	return asn1.RawValue{Tag: tag, Bytes: []byte(text)}
}

func TestSubjectDN(t *testing.T) {
	type pair struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type setSET []pair
	cn, o, ou, c := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 11}, asn1.ObjectIdentifier{2, 5, 4, 6}
	subject, err := asn1.Marshal([]setSET{
		{{c, value(t, asn1.TagPrintableString, "DE")}},
		{{o, value(t, asn1.TagUTF8String, `Müller, "Söhne" + Co`)}},
		{{ou, value(t, asn1.TagBMPString, "\x00P\x00a\x00y")}, {cn, value(t, asn1.TagT61String, "billing job")}},
	})
	require.NoError(t, err)
	cert := certtest.SelfSigned(t, func(c *x509.Certificate) { c.RawSubject = subject }).Leaf
	for text, want := range map[string]bool{
		`CN=billing job+OU=Pay,O=Müller\, \"Söhne\" \+ Co,C=DE`:                                     true,
		`ou=Pay + cn=billing job, o=M\C3\BCller\, \22S\C3\B6hne\22 \2b Co, c=DE`:                    true, // RFC 4514 §4
		`2.5.4.3=#13` + `0b62696c6c696e67206a6f62+OID.2.5.4.11=Pay,O=Müller\, \"Söhne\" \+ Co,C=DE`: true,
		`C=DE,O=Müller\, \"Söhne\" \+ Co,CN=billing job+OU=Pay`:                                     false, // the wrong way round
		`CN=billing job,OU=Pay,O=Müller\, \"Söhne\" \+ Co,C=DE`:                                     false, // two names instead of one
		`CN=billing job+OU=Pay,O=Müller\, \"Söhne\" \+ Co`:                                          false,
		`CN=billing job+CN=billing job,O=Müller\, \"Söhne\" \+ Co,C=DE`:                             false,
		`CN=Billing job+OU=Pay,O=Müller\, \"Söhne\" \+ Co,C=DE`:                                     false,
		`CN=billing job\ +OU=Pay,O=Müller\, \"Söhne\" \+ Co,C=DE`:                                   false,
		`CN=billing job`: false,
	} {
		t.Run("MT-01 RFC 4514 "+text, func(t *testing.T) {
			require.NoError(t, clientcert.CheckName(clientcert.SubjectDN, text))
			require.Equal(t, want, clientcert.Named(cert, clientcert.SubjectDN, text))
		})
	}
	t.Run("RFC 4514 as crypto/x509 writes it", func(t *testing.T) {
		c := certtest.SelfSigned(t, func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: " a=#b\\c\x00 ", Organization: []string{"Example; <Inc>"}, Country: []string{"DE"}}
		}).Leaf
		require.True(t, clientcert.Named(c, clientcert.SubjectDN, `CN=\ a=#b\\c\00\ ,O=Example\; \<Inc\>,C=DE`))
		require.False(t, clientcert.Named(c, clientcert.SubjectDN, `CN=a,O=Example\; \<Inc\>,C=DE`))
	})
	t.Run("no subject has no name", func(t *testing.T) {
		c := certtest.SelfSigned(t, func(c *x509.Certificate) { c.Subject = pkix.Name{} }).Leaf
		require.False(t, clientcert.Named(c, clientcert.SubjectDN, "CN=a"))
	})
}

func FuzzSubjectDN(f *testing.F) {
	f.Add(`CN=a\,b+OU=#0c0161,O=x`)
	c := certtest.SelfSigned(f, nil).Leaf
	f.Fuzz(func(t *testing.T, text string) {
		if clientcert.CheckName(clientcert.SubjectDN, text) != nil {
			require.False(t, clientcert.Named(c, clientcert.SubjectDN, text))
		}
	})
}
