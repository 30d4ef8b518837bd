package gate

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/grantor-auth/grantor/middleware"
)

// Values of DPoP.Request: how a proxy says the method and the target of the request.
const (
	RequestOriginal  = "X-Original"  // X-Original-Method and X-Original-URI
	RequestForwarded = "X-Forwarded" // X-Forwarded-Method and X-Forwarded-Uri
	RequestPath      = "path"        // the check itself has both, as Envoy's has
)

// DPoP is how proofs of bound tokens are checked (RFC 9449 §7).
type DPoP struct {
	Request string // one of the constants above; "": bound tokens are refused
	URL     string // of the API as clients write it; "": scheme and host of the demand's audience
	// NonceKey is a secret of at least 32 bytes that all gates of an API share: each proof needs a
	// nonce of the gate then (RFC 9449 §9). nil: none does.
	NonceKey []byte
}

var (
	// errDPoP says what there is.
	errDPoP = errors.New(`gate: the request of a proof is told by "X-Original", "X-Forwarded" or "path"`)
	// errNonceKey is for a key that can be guessed, or has no use.
	errNonceKey = errors.New("gate: the key of nonces must have 32 bytes or more")
)

// proofs returns how the guard checks proofs.
func (cfg Config) proofs() (p middleware.DPoP, err error) {
	switch cfg.DPoP.Request {
	case "":
		if cfg.DPoP.URL != "" || cfg.DPoP.NonceKey != nil {
			return p, errDPoP
		}
		return p, nil
	case RequestOriginal, RequestForwarded, RequestPath:
	default:
		return p, errDPoP
	}
	if base := cfg.DPoP.URL; base != "" {
		if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return p, fmt.Errorf("gate: the public URL must be absolute, such as https://orders.example.com, not %q", base)
		}
	}
	if key := cfg.DPoP.NonceKey; key != nil && len(key) < 32 {
		return p, errNonceKey
	}
	p.Request, p.NonceKey = cfg.DPoP.of, cfg.DPoP.NonceKey
	return p, nil
}

// of returns the method and the URL of the request that a check is about; "" for what the proxy
// does not say exactly once.
func (d DPoP) of(r *http.Request) (method, public string) {
	demand, target := r.URL.RawQuery, ""
	switch d.Request {
	case RequestPath:
		method = r.Method
		demand, target = inPath(r.URL, PathVerify)
	case RequestOriginal:
		method, target = only(r, "X-Original-Method"), only(r, "X-Original-Uri")
	default:
		method, target = only(r, "X-Forwarded-Method"), only(r, "X-Forwarded-Uri")
	}
	sent, err := url.ParseRequestURI(target)
	base := d.base(demand)
	if err != nil || base == "" {
		return method, ""
	}
	return method, base + sent.EscapedPath()
}

// base is what comes before the path of a request.
func (d DPoP) base(demand string) string {
	if d.URL != "" {
		return strings.TrimRight(d.URL, "/")
	}
	wanted, err := parseDemand(demand)
	if err != nil {
		return ""
	}
	u, err := url.Parse(cmp.Or(wanted.Resource, wanted.Audience))
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// only returns a header that is there once.
func only(r *http.Request, name string) string {
	if values := r.Header[textproto.CanonicalMIMEHeaderKey(name)]; len(values) == 1 {
		return values[0]
	}
	return ""
}
