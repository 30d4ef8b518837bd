package middleware

import (
	"net/http"
	"strings"
)

// MaxTokenBytes is the longest token that is looked at: room for a JWT with as many scopes and
// resources as Grantor puts into one (scopes.MaxBytes each). HTTP servers and proxies on the way
// need room for it too, of which many have 8 kB.
const MaxTokenBytes = 16 << 10

// credentials is a token, and how it was sent.
type credentials struct {
	token string
	dpop  bool // Authorization: DPoP (RFC 9449 §7.1)
}

// credentials returns the token of a request (RFC 6750 §2), which is not empty, or a refusal.
func (g *Guard) credentials(r *http.Request) (none credentials, refused *refusal) {
	header, why, refused := g.fromHeaders(r.Header)
	if refused != nil {
		return none, refused
	}
	form, refused := g.fromForm(r)
	if refused != nil {
		return none, refused
	}
	inQuery := hasParameter(r.URL.RawQuery)
	switch {
	case header.token != "" && (form != "" || inQuery), form != "" && inQuery:
		return none, malformed("the token is sent in more than one way; send it in the Authorization header (RFC 6750 2)")
	case header.token != "":
		return header, nil
	case form != "":
		return credentials{token: form}, nil
	}
	if inQuery {
		why = "a token in the query is not read (RFC 9700 4.3.2)"
	}
	want := "Bearer, one space, the token (RFC 6750 2.1)"
	if g.cfg.DPoP.Required {
		want = "DPoP, one space, the token (RFC 9449 7.1)"
	}
	return none, &refusal{status: http.StatusUnauthorized, description: why + "; send the header Authorization: " + want}
}

// fromHeaders reads the headers that may hold a token here.
func (g *Guard) fromHeaders(h http.Header) (cred credentials, why string, refused *refusal) {
	if g.cfg.APIKeyHeaders {
		if key, refused := fromKeyHeaders(h); key != "" || refused != nil {
			return credentials{token: key}, "", refused
		}
	}
	return fromHeader(h)
}

// fromHeader reads Authorization: Bearer or DPoP. Another scheme counts as no credentials; why says
// so.
func fromHeader(h http.Header) (cred credentials, why string, refused *refusal) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return cred, "no access token came", nil
	}
	if len(values) > 1 {
		return cred, "", malformed("there is more than one Authorization header")
	}
	cred, ok, refused := parseAuthorization(values[0])
	if !ok {
		return cred, "the Authorization header has another scheme than Bearer", nil
	}
	return cred, "", refused
}

// parseAuthorization takes a header value apart. ok is false for another scheme.
func parseAuthorization(value string) (cred credentials, ok bool, refused *refusal) {
	scheme, rest, _ := strings.Cut(value, " ")
	cred.dpop = strings.EqualFold(scheme, "DPoP")
	if !cred.dpop && !strings.EqualFold(scheme, "Bearer") {
		return credentials{}, false, nil
	}
	cred.token = strings.Trim(rest, " ")
	if len(cred.token) > MaxTokenBytes {
		return credentials{}, true, malformed("the token is longer than 16 kB")
	}
	if !isB64Token(cred.token) {
		return credentials{}, true, malformed("the Authorization header must be: Bearer, one space, the token (RFC 6750 2.1)")
	}
	return cred, true, nil
}

// isB64Token is the grammar of RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" /
// "/" ) *"=".
func isB64Token(text string) bool {
	body := strings.TrimRight(text, "=")
	if body == "" || len(text) > MaxTokenBytes {
		return false
	}
	for i := range len(body) {
		if !inB64Token[body[i]] {
			return false
		}
	}
	return true
}

// inB64Token are the bytes of a b64token before its "=": a table, for a JWT has hundreds.
var inB64Token = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		t[c] = true
	}
	return t
}()

// fromForm reads access_token of a form body where that is switched on (RFC 6750 §2.2): one media
// type, never for GET.
func (g *Guard) fromForm(r *http.Request) (string, *refusal) {
	if !g.cfg.FormBody || r.Method == http.MethodGet || r.Method == http.MethodHead ||
		r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return "", nil
	}
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return "", malformed("the form cannot be read")
	}
	switch values := r.PostForm["access_token"]; {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || !isB64Token(values[0]):
		return "", malformed("access_token of the form must be one token")
	default:
		return values[0], nil
	}
}

// hasParameter says whether a query names access_token, even badly encoded.
func hasParameter(query string) bool {
	for part := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(part, "="); name == "access_token" {
			return true
		}
	}
	return false
}
