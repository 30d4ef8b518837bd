package clientcert

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// The well-known headers, whose names say their format.
const (
	HeaderRFC9440 = "Client-Cert"
	HeaderEnvoy   = "X-Forwarded-Client-Cert"

	headerChain = "Client-Cert-Chain" // RFC 9440 §2.3
)

// Formats in which proxies write a certificate into a header.
const (
	FormatRFC9440 = "rfc9440" // base64 of DER between colons (RFC 9440 §2.2)
	FormatPEM     = "pem"     // URL-encoded PEM: nginx's $ssl_client_escaped_cert, load balancers of AWS
	FormatDER     = "der"     // base64 of DER: HAProxy's %[ssl_c_der,base64], Caddy
	FormatXFCC    = "xfcc"    // Envoy's X-Forwarded-Client-Cert
)

// Formats returns every format.
func Formats() []string { return []string{FormatRFC9440, FormatPEM, FormatDER, FormatXFCC} }

// CheckFormat says whether a header can be read in a format.
func CheckFormat(header, format string) error {
	_, err := formatOf(header, format)
	return err
}

// formatOf returns the reader of a format; "" is that of a well-known header.
func formatOf(header, format string) (formatFunc, error) {
	if format == "" {
		switch http.CanonicalHeaderKey(header) {
		case HeaderRFC9440:
			format = FormatRFC9440
		case HeaderEnvoy:
			format = FormatXFCC
		}
	}
	switch format {
	case FormatRFC9440:
		return readRFC9440, nil
	case FormatPEM:
		return readPEM, nil
	case FormatDER:
		return readDER, nil
	case FormatXFCC:
		return readXFCC, nil
	case "":
		return nil, fmt.Errorf("the format of the header %s is not known: set client_cert_format to %s", header, alternatives())
	}
	return nil, fmt.Errorf("the format must be %s", alternatives())
}

func alternatives() string { return `"` + strings.Join(Formats(), `", "`) + `"` }

// readRFC9440 reads Client-Cert, and Client-Cert-Chain where the proxy sends it.
func readRFC9440(value string, rest http.Header) ([][]byte, error) {
	leaf, err := fromByteSequence(value)
	if err != nil {
		return nil, err
	}
	list := [][]byte{leaf}
	chain := strings.Join(rest[headerChain], ",")
	if len(chain) > maxHeaderBytes {
		return nil, unusable("%s is longer than %d bytes", headerChain, maxHeaderBytes)
	}
	if strings.Trim(chain, " \t") == "" {
		return list, nil
	}
	for one := range strings.SplitSeq(chain, ",") {
		der, err := fromByteSequence(strings.Trim(one, " \t"))
		if err != nil || len(list) == maxListed {
			return nil, unusable("%s is no list of at most %d byte sequences (RFC 9440 §2.3)", headerChain, maxListed-1)
		}
		list = append(list, der)
	}
	return list, nil
}

// fromByteSequence reads a byte sequence without parameters (RFC 9651 §3.3.5).
func fromByteSequence(text string) ([]byte, error) {
	inner, opened := strings.CutPrefix(text, ":")
	inner, closed := strings.CutSuffix(inner, ":")
	if !opened || !closed {
		return nil, unusable("it is no byte sequence, base64 between colons (RFC 9440 §2.2)")
	}
	return fromBase64(inner)
}

func readDER(value string, _ http.Header) ([][]byte, error) {
	der, err := fromBase64(value)
	return [][]byte{der}, err
}

// readPEM reads PEM of which all is URL-encoded that a header cannot hold: a value with blanks was
// folded, or is no URL encoding.
func readPEM(value string, _ http.Header) ([][]byte, error) {
	text, err := url.PathUnescape(value) // + stands for itself
	if err != nil || strings.ContainsAny(value, " \t\",;") {
		return nil, unusable("it is not URL-encoded PEM")
	}
	return fromPEM(text)
}
