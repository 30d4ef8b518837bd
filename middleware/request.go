package middleware

import (
	"net/http"
	"strings"
)

// MaxTokenBytes is the longest token that is looked at: room for a JWT with as many scopes and
// resources as Grantor puts into one (scopes.MaxBytes each). HTTP servers and proxies on the way
// need room for it too, of which many have 8 kB.
const MaxTokenBytes = 16 << 10

// bearer returns the token of a request (RFC 6750 §2). A refusal is nil-token and an error.
func (g *Guard) bearer(r *http.Request) (string, *refusal) {
	header, why, refused := fromHeader(r.Header)
	if refused != nil {
		return "", refused
	}
	form, refused := g.fromForm(r)
	if refused != nil {
		return "", refused
	}
	inQuery := hasParameter(r.URL.RawQuery)
	switch {
	case header != "" && (form != "" || inQuery), form != "" && inQuery:
		return "", malformed("the token is sent in more than one way; send it in the Authorization header (RFC 6750 2)")
	case header != "":
		return header, nil
	case form != "":
		return form, nil
	}
	if inQuery {
		why = "a token in the query is not read (RFC 9700 4.3.2)"
	}
	return "", &refusal{status: http.StatusUnauthorized, description: why + "; send the header Authorization: Bearer, one space, the token (RFC 6750 2.1)"}
}

// fromHeader reads Authorization: Bearer. Another scheme counts as no credentials; why says so.
func fromHeader(h http.Header) (token, why string, refused *refusal) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", "no access token came", nil
	}
	if len(values) > 1 {
		return "", "", malformed("there is more than one Authorization header")
	}
	token, ok, refused := parseBearer(values[0])
	if !ok {
		return "", "the Authorization header has another scheme than Bearer", nil
	}
	return token, "", refused
}

// parseBearer takes a header value apart. ok is false for another scheme.
func parseBearer(value string) (token string, ok bool, refused *refusal) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, nil
	}
	token = strings.Trim(rest, " ")
	if len(token) > MaxTokenBytes {
		return "", true, malformed("the token is longer than 16 kB")
	}
	if !isB64Token(token) {
		return "", true, malformed("the Authorization header must be: Bearer, one space, the token (RFC 6750 2.1)")
	}
	return token, true, nil
}

// isB64Token is the grammar of RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" /
// "/" ) *"=".
func isB64Token(text string) bool {
	body := strings.TrimRight(text, "=")
	if body == "" || len(text) > MaxTokenBytes {
		return false
	}
	for i := range len(body) {
		c := body[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/", c) >= 0) {
			return false
		}
	}
	return true
}

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
