package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxBody is the most that a request's body may hold, in bytes.
const maxBody = 64 << 10

// maxParameters is the most parameters that a body may hold.
const maxParameters = 64

const formType = "application/x-www-form-urlencoded"

// formBody makes the body the only source of parameters: of the one media type, bounded, well
// formed, none of them twice (RFC 6749 §3.2). It presets r.Form, so that the library's r.FormValue
// reads what was checked here and never the query, a multipart body or a file.
func (s *Server) formBody(x *exchange) error {
	r := x.gin.Request
	if err := checkMediaType(r.Header); err != nil {
		return err
	}
	body, err := readBody(x)
	if err != nil {
		return err
	}
	form, err := parseForm(body)
	if err != nil {
		return err
	}
	x.form, r.Form, r.PostForm = form, form, form
	return nil
}

// readBody reads a body to its end, or refuses one that is too large.
func readBody(x *exchange) (string, error) {
	r := x.gin.Request
	if text, ok := wholeBody(r.Body); ok {
		return text, nil
	}
	var body []byte
	var err error
	if n := r.ContentLength; n >= 0 && n <= maxBody { // net/http hands out no more than was announced
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(x.gin.Writer, r.Body, maxBody))
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return "", &Error{Code: codeInvalidRequest, Status: http.StatusRequestEntityTooLarge,
			Description: "the body is larger than 64 kB"}
	}
	if err != nil {
		return "", refusal(codeInvalidRequest, "the body could not be read to its end")
	}
	return string(body), nil
}

func checkMediaType(h http.Header) error {
	got := h["Content-Type"]
	if len(got) == 1 {
		if got[0] == formType && len(h["Content-Encoding"]) == 0 { // nearly all
			return nil
		}
		if media, _, err := mime.ParseMediaType(got[0]); err == nil && media == formType {
			if h.Get("Content-Encoding") != "" {
				return refusal(codeInvalidRequest, "the body must come without Content-Encoding")
			}
			return nil
		}
	}
	if len(got) == 1 && strings.HasPrefix(got[0], "application/json") {
		return refusal(codeInvalidRequest,
			"the body must be %s, not application/json (RFC 6749 §4.4.2)", formType)
	}
	return refusal(codeInvalidRequest, "the body must be %s, said by one Content-Type header", formType)
}

// parameterName names a parameter that this server knows. No other name of a request is repeated.
func parameterName(name string) string {
	switch name {
	case "grant_type", "scope", "resource", "username", "password", "refresh_token", "token", "token_type_hint",
		"client_id", "client_secret", "client_assertion", "client_assertion_type", "assertion", "after", "echo", "follow",
		"device_name", "audience", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type":
		return "the parameter " + name
	}
	return "a parameter"
}

// mayRepeat are the parameters that may occur more than once (RFC 8707 §2, RFC 8693 §2.1).
func mayRepeat(name string) bool { return name == "resource" || name == "audience" }

// parseForm reads a form strictly. A malformed body is an error, and not a body with fewer
// parameters; a parameter without a value counts as omitted (RFC 6749 §3.2).
func parseForm(body string) (url.Values, error) {
	if strings.Count(body, "&") >= maxParameters {
		return nil, refusal(codeInvalidRequest, "the body has more than %d parameters", maxParameters)
	}
	form, ok := splitForm(body)
	if !ok {
		return nil, refusal(codeInvalidRequest,
			"the body is not well-formed %s: %% starts two hexadecimal digits, & "+
				"divides parameters", formType)
	}
	for name, values := range form {
		if len(values) > 1 && !mayRepeat(name) {
			return nil, refusal(codeInvalidRequest, "%s occurs twice (RFC 6749 §3.2)", parameterName(name))
		}
		for _, v := range values {
			if !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
				return nil, refusal(codeInvalidRequest,
					"the value of %s is not UTF-8 text without NUL (RFC 6749 App. B)", parameterName(name))
			}
		}
		if len(values) == 1 && values[0] == "" {
			delete(form, name)
		}
	}
	return form, nil
}

// splitForm reads a form as url.ParseQuery does (FuzzParseForm), for less where nothing is escaped.
func splitForm(body string) (form url.Values, ok bool) {
	form = url.Values{}
	for body != "" {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, ok1 := unescape(name)
		value, ok2 := unescape(value)
		if !ok1 || !ok2 || strings.Contains(pair, ";") {
			return nil, false
		}
		form[name] = append(form[name], value)
	}
	return form, true
}

// unescape is url.QueryUnescape.
func unescape(text string) (string, bool) {
	if !strings.Contains(text, "%") && !strings.Contains(text, "+") { // nearly all
		return text, true
	}
	text, err := url.QueryUnescape(text)
	return text, err == nil
}
