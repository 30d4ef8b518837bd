package server

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/printable"
)

// refuse is the only place that answers an error.
func (s *Server) refuse(x *exchange, err error) {
	e := asError(err)
	x.reason = e.Reason
	if x.reason == "" {
		x.reason = Reason(e.Code)
	}
	s.recordRefusal(x, e)
	x.cause = e.Err
	h := x.gin.Writer.Header()
	h.Set("Cache-Control", "no-store")
	status := e.Status
	if e.Code == codeInvalidClient {
		if status == 0 {
			status = http.StatusUnauthorized
		}
		h.Set("WWW-Authenticate", `Basic realm="grantor", charset="UTF-8"`) // RFC 6749 §5.2
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.retryAfter()+time.Second-1)/time.Second)))
	}
	if e.Page && wantsPage(x) {
		writePage(x, status, e)
		return
	}
	writeJSON(x, status, e.body())
}

// retryAfter is when to ask again. Clients that were refused by one outage must not come back in
// one second.
func (e *Error) retryAfter() time.Duration {
	if e.Status != http.StatusServiceUnavailable {
		return e.RetryAfter
	}
	return e.RetryAfter + time.Duration(rand.IntN(retrySpread))*time.Second // #nosec G404 -- no secret
}

// retrySpread is the number of seconds over which clients come back after a 503. It is well within
// any retry window.
const retrySpread = 4

// body is the answer: RFC 6749 §5.2 allows more members.
func (e *Error) body() any {
	plain := struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitempty"`
		Outcome     string `json:"outcome,omitempty"`
	}{e.Code, describable(e.Description), e.Outcome}
	text, err := json.Marshal(e.More)
	more := map[string]any{}
	if e.More == nil || err != nil || json.Unmarshal(text, &more) != nil {
		return plain
	}
	more["error"], more["error_description"] = plain.Code, plain.Description
	if plain.Outcome != "" {
		more["outcome"] = plain.Outcome
	}
	return more
}

// describable keeps a description to the characters of RFC 6749 §5.2, and secrets out of it.
func describable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '§':
			return -1
		case r == '\\' || r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, strings.ReplaceAll(printable.Redact(text), "§", "section "))
}

// newAnswer is an object without members, with place for an answer of usual length.
func newAnswer() jsonobject.Object { return make(jsonobject.Object, 0, 512) }

// writeJSON writes the whole answer, once.
func writeJSON(x *exchange, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	x.write(status, text)
}

// write writes a JSON text as the whole answer, once.
func (x *exchange) write(status int, text []byte) {
	h := x.gin.Writer.Header()
	h["Content-Type"] = x.fixed.json
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	x.gin.Writer.WriteHeader(status)
	_, _ = x.gin.Writer.Write(text) // nobody is left to hear of the error
}
