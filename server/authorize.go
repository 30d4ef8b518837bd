package server

import (
	"html"
	"net/url"
	"strconv"
	"strings"
)

// authorizationQuery makes the query the source of parameters (RFC 6749 §3.1).
func authorizationQuery(x *exchange) error {
	form, err := url.ParseQuery(x.gin.Request.URL.RawQuery)
	if err != nil {
		return shown(codeInvalidRequest, "the query is malformed: % starts two hexadecimal digits, & divides parameters")
	}
	x.form = form
	return nil
}

// authorize refuses every request. No client has a redirect URI here, so the answer is for the
// person alone: nothing is redirected and nothing of the request is repeated (RFC 6749 §4.1.2.1).
func authorize(x *exchange) error {
	for name, values := range x.form {
		if len(values) > 1 && !mayRepeat(name) {
			return shown(codeInvalidRequest, "a parameter occurs twice (RFC 6749 §3.1)")
		}
	}
	if x.form.Get("response_type") == "" {
		return shown(codeInvalidRequest, "response_type is missing (RFC 6749 §3.1.1)")
	}
	return shown(codeUnsupportedResponse, "this server has no login in the browser: clients get tokens at its token endpoint, "+
		"with credentials of their own. grant_types_supported in its metadata lists how")
}

// shown is a refusal that a person may see.
func shown(code, description string) *Error {
	return &Error{Code: code, Description: description, Page: true}
}

// wantsPage says whether a browser asks.
func wantsPage(x *exchange) bool {
	return strings.Contains(strings.Join(x.gin.Request.Header.Values("Accept"), ","), "text/html")
}

// writePage writes a refusal as HTML that runs nothing and stands in no frame (RFC 6749 §10.13).
func writePage(x *exchange, status int, e *Error) {
	h := x.gin.Writer.Header()
	text := `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<title>Not possible here</title><h1>Not possible here</h1><p>` + html.EscapeString(describable(e.Description)) +
		`.</p><p>Error: <code>` + html.EscapeString(e.Code) + `</code></p></html>`
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	x.gin.Writer.WriteHeader(status)
	_, _ = x.gin.Writer.WriteString(text) // nobody is left to hear of the error
}
