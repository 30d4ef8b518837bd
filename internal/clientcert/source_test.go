package clientcert_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
)

const (
	proxy    = "10.0.0.7:4711"
	stranger = "192.0.2.1:4711"
)

func source(t *testing.T, header, format string) *clientcert.Source {
	t.Helper()
	trusted, err := address.ParseNetworks([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	s, err := clientcert.NewSource(header, format, trusted)
	require.NoError(t, err)
	return s
}

func request(peer, header string, values ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token", nil)
	r.RemoteAddr = peer
	for _, v := range values {
		r.Header.Add(header, v)
	}
	return r
}

func sequence(c tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
}

func escaped(c tls.Certificate) string {
	return strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(c))), "+", "%20")
}

func hash(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

func TestSourceFormats(t *testing.T) {
	ca := certtest.NewCA(t)
	mine := ca.Issue(t, nil)
	pem := escaped(mine)
	for name, one := range map[string]struct{ header, format, value string }{
		"MT-08 RFC 9440 §2.2 Client-Cert":            {"Client-Cert", "", sequence(mine)},
		"RFC 9440 in a header of another name":       {"X-Cert", "rfc9440", sequence(mine)},
		"nginx $ssl_client_escaped_cert":             {"X-SSL-Cert", "pem", pem},
		"AWS leaves + = / as they are":               {"X-Amzn-Mtls-Clientcert", "pem", strings.NewReplacer("%2B", "+", "%3D", "=", "%2F", "/").Replace(pem)},
		"PEM without the last line end":              {"X-SSL-Cert", "pem", strings.TrimSuffix(pem, "%0A")},
		"HAProxy %[ssl_c_der,base64]":                {"X-SSL-DER", "der", strings.Trim(sequence(mine), ":")},
		"Envoy":                                      {"X-Forwarded-Client-Cert", "", `By=spiffe://a/b;Hash=` + hash(mine) + `;Cert="` + pem + `";Subject="CN=a\",Cert=x,O=\"b";URI=spiffe://a/c`},
		"Envoy with Chain":                           {"X-Forwarded-Client-Cert", "", `Cert="` + pem + `";Chain="` + pem + `"`},
		"Envoy with Chain alone":                     {"X-Forwarded-Client-Cert", "", `Chain="` + pem + `"`},
		"Envoy's keys in another case (Envoy: XFCC)": {"X-Forwarded-Client-Cert", "", `cert="` + pem + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := source(t, one.header, one.format).Of(request(proxy, one.header, one.value))
			require.NoError(t, err)
			require.Equal(t, mine.Certificate[0], got.Leaf.Raw)
			require.Equal(t, sha256.Sum256(mine.Certificate[0]), got.Thumbprint())
			require.Empty(t, got.Chain)
		})
	}
	t.Run("RFC 9440 §2.3 Client-Cert-Chain, over two lines", func(t *testing.T) {
		r := request(proxy, "Client-Cert", sequence(mine))
		r.Header["Client-Cert-Chain"] = []string{sequence(mine) + ", " + sequence(mine), sequence(mine)}
		got, err := source(t, "Client-Cert", "").Of(r)
		require.NoError(t, err)
		require.Len(t, got.Chain, 3)
	})
	t.Run("PEM of a chain", func(t *testing.T) {
		got, err := source(t, "X-C", "pem").Of(request(proxy, "X-C", pem+pem))
		require.NoError(t, err)
		require.Len(t, got.Chain, 1)
	})
}

func TestSourceRefuses(t *testing.T) {
	mine, other := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	pem, der := escaped(mine), strings.Trim(sequence(mine), ":")
	for name, one := range map[string]struct {
		format string
		values []string
	}{
		"two header lines":                       {"rfc9440", []string{sequence(mine), sequence(other)}},
		"two header lines, one of them empty":    {"rfc9440", []string{"", sequence(other)}},
		"two in one line":                        {"rfc9440", []string{sequence(mine) + ", " + sequence(other)}},
		"a byte sequence without colons":         {"rfc9440", []string{der}},
		"a byte sequence with parameters":        {"rfc9440", []string{sequence(mine) + ";a=1"}},
		"an empty byte sequence":                 {"rfc9440", []string{"::"}},
		"one colon":                              {"rfc9440", []string{":"}},
		"base64 without padding or cut":          {"rfc9440", []string{":" + der[:len(der)-3] + ":"}},
		"base64 that was folded":                 {"der", []string{der[:64] + " " + der[64:]}},
		"base64 of something else":               {"der", []string{"bm8gY2VydGlmaWNhdGU="}},
		"base64url":                              {"der", []string{strings.NewReplacer("+", "-", "/", "_").Replace(der) + "-_"}},
		"base64 encoded twice":                   {"der", []string{base64.StdEncoding.EncodeToString([]byte(der))}},
		"a certificate with bytes behind it":     {"der", []string{base64.StdEncoding.EncodeToString(append(mine.Certificate[0], 0))}},
		"more than 8 kB":                         {"der", []string{base64.StdEncoding.EncodeToString(make([]byte, 9<<10))}},
		"more than the header may hold":          {"pem", []string{strings.Repeat("A", 13<<10)}},
		"PEM that is not encoded":                {"pem", []string{strings.ReplaceAll(string(certtest.PEM(mine)), "\n", " ")}},
		"PEM that was folded":                    {"pem", []string{pem[:100] + " " + pem[100:]}},
		"PEM encoded twice":                      {"pem", []string{strings.ReplaceAll(pem, "%", "%25")}},
		"PEM with text before":                   {"pem", []string{"hello%0A" + pem}},
		"PEM with text between":                  {"pem", []string{pem + "hello%0A" + pem}},
		"PEM that hides another beginning":       {"pem", []string{"-----BEGIN%20CERTIFICATE-----%0Axx%0A" + pem}},
		"PEM with headers":                       {"pem", []string{strings.Replace(pem, "%0A", "%0Aa%3A%20b%0A%0A", 1)}},
		"PEM of a key":                           {"pem", []string{strings.ReplaceAll(pem, "CERTIFICATE", "PRIVATE%20KEY")}},
		"PEM of nine certificates":               {"pem", []string{strings.Repeat(pem, 9)}},
		"PEM, cut within an escape":              {"pem", []string{pem[:len(pem)-1]}},
		"two lists in one line":                  {"pem", []string{pem + "," + escaped(other)}},
		"XFCC of two proxies":                    {"xfcc", []string{`Cert="` + pem + `",Cert="` + escaped(other) + `"`}},
		"XFCC with Cert twice":                   {"xfcc", []string{`Cert="` + pem + `";Cert="` + escaped(other) + `"`}},
		"XFCC with cert twice, in two cases":     {"xfcc", []string{`Cert="` + pem + `";cert="` + escaped(other) + `"`}},
		"XFCC without Cert":                      {"xfcc", []string{`By=a;Hash=` + hash(mine)}},
		"XFCC with Cert inside Subject":          {"xfcc", []string{`Subject="a;Cert=` + pem + `"`}},
		"XFCC with a quote that does not end":    {"xfcc", []string{`Cert="` + pem}},
		"XFCC with a backslash at the end":       {"xfcc", []string{`Cert="` + pem + `\`}},
		"XFCC with text behind a quote":          {"xfcc", []string{`Cert="` + pem + `"x`}},
		"XFCC with a quote in a plain value":     {"xfcc", []string{`By=a"b";Cert="` + pem + `"`}},
		"XFCC with the Hash of another":          {"xfcc", []string{`Hash=` + hash(other) + `;Cert="` + pem + `"`}},
		"XFCC with the Chain of another":         {"xfcc", []string{`Cert="` + pem + `";Chain="` + escaped(other) + `"`}},
		"XFCC with two certificates as Cert":     {"xfcc", []string{`Cert="` + pem + pem + `"`}},
		"XFCC that ends in a semicolon":          {"xfcc", []string{`Cert="` + pem + `";`}},
		"XFCC with a blank in a key":             {"xfcc", []string{`By=a; Cert="` + pem + `"`}},
		"XFCC with a key that has no value":      {"xfcc", []string{`Cert`}},
		"what Apache sends without certificate":  {"pem", []string{"(null)"}},
		"a format that does not fit":             {"xfcc", []string{sequence(mine)}},
		"a value of one blank, which is no none": {"der", []string{" "}},
	} {
		t.Run("MT-08 "+name, func(t *testing.T) {
			_, err := source(t, "X-Client-C", one.format).Of(request(proxy, "X-Client-C", one.values...))
			var refused *clientcert.HeaderError
			require.ErrorAs(t, err, &refused)
			require.NotContains(t, err.Error(), der[:20], "an error quotes nothing")
		})
	}
	t.Run("MT-08 RFC 9440 §2.3 a chain that is no list", func(t *testing.T) {
		for _, chain := range []string{"x", sequence(mine) + ",", strings.Repeat(sequence(mine)+",", 8) + sequence(mine), strings.Repeat(" ", 13<<10)} {
			r := request(proxy, "Client-Cert", sequence(mine))
			r.Header.Set("Client-Cert-Chain", chain)
			_, err := source(t, "Client-Cert", "").Of(r)
			require.Error(t, err, "%.40s", chain)
		}
	})
}

func TestSourcePeers(t *testing.T) {
	mine, proxys := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{proxys.Leaf}}
	s := source(t, "Client-Cert", "")
	t.Run("MT-08 RFC 8705 §6.5 a stranger's header is ignored", func(t *testing.T) {
		_, err := s.Of(request(stranger, "Client-Cert", sequence(mine)))
		require.ErrorIs(t, err, clientcert.ErrNotTrusted)
	})
	t.Run("MT-08 a stranger's own certificate counts beside its header", func(t *testing.T) {
		r := request(stranger, "Client-Cert", sequence(mine))
		r.TLS = shown
		got, err := s.Of(r)
		require.NoError(t, err)
		require.Equal(t, proxys.Leaf, got.Leaf)
	})
	t.Run("the certificate of a proxy's connection is no client's", func(t *testing.T) {
		for _, from := range []*clientcert.Source{s, source(t, "", "")} {
			r := request(proxy, "Client-Cert")
			r.TLS = shown
			_, err := from.Of(r)
			require.ErrorIs(t, err, clientcert.ErrNone)
		}
	})
	t.Run("an empty header is none", func(t *testing.T) {
		_, err := s.Of(request(proxy, "Client-Cert", ""))
		require.ErrorIs(t, err, clientcert.ErrNone)
	})
	t.Run("without a header TLS alone counts", func(t *testing.T) {
		none, err := clientcert.NewSource("", "", nil)
		require.NoError(t, err)
		_, err = none.Of(request(proxy, "Client-Cert", sequence(mine)))
		require.ErrorIs(t, err, clientcert.ErrNone)
	})
	t.Run("another spelling of the header is the same header", func(t *testing.T) {
		got, err := source(t, "client-CERT", "").Of(request(proxy, "CLIENT-cert", sequence(mine)))
		require.NoError(t, err)
		require.Equal(t, mine.Leaf.Raw, got.Leaf.Raw)
	})
	t.Run("a Unix socket is no trusted proxy", func(t *testing.T) {
		_, err := s.Of(request("@", "Client-Cert", sequence(mine)))
		require.ErrorIs(t, err, clientcert.ErrNotTrusted)
	})
}

func TestNewSource(t *testing.T) {
	trusted, err := address.ParseNetworks([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	for name, one := range map[string]struct {
		header, format string
		trusted        address.Networks
	}{
		"no trusted proxy":       {"Client-Cert", "", nil},
		"a format is needed":     {"X-SSL-Cert", "", trusted},
		"an unknown format":      {"X-SSL-Cert", "nginx", trusted},
		"no header name":         {"X SSL", "pem", trusted},
		"an underscore":          {"X_SSL", "pem", trusted},
		"another header":         {"authorization", "pem", trusted},
		"the chain's own header": {"Client-Cert-Chain", "rfc9440", trusted},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := clientcert.NewSource(one.header, one.format, one.trusted)
			require.Error(t, err)
		})
	}
}

func FuzzSource(f *testing.F) {
	mine := certtest.SelfSigned(f, nil)
	for _, text := range []string{sequence(mine), escaped(mine), `Cert="` + escaped(mine) + `";Subject="\""`, strings.Trim(sequence(mine), ":")} {
		f.Add(text)
	}
	trusted, err := address.ParseNetworks([]string{"10.0.0.0/8"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range clientcert.Formats() {
			s, err := clientcert.NewSource("X-C", format, trusted)
			require.NoError(t, err)
			if got, err := s.Of(request(proxy, "X-C", text)); err == nil {
				require.NotNil(t, got.Leaf)
			}
		}
	})
}
