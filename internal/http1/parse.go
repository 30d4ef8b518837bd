package http1

import (
	"net/http"
	"strings"
)

const (
	maxFields   = 24 // header fields of a plain request
	usualFields = 8  // most requests have no more, and a map for no more is the cheapest
)

// plain is a request as it was read. Its texts are parts of the text that was read.
type plain struct {
	method, path, host string
	query              string // without its "?"; "": there is none
	target             string // path and query as they came
	last               bool   // the client sends no further request (Connection: close)
	head               int    // bytes of the head, with the empty line that ends it
	length             int    // bytes of the body (Content-Length); noLength: the field is absent
	chunked            bool   // Transfer-Encoding: chunked
	header             http.Header
	values             [usualFields]string // of header: one array instead of a list for each field
	fields             int
}

const noLength = -1

// parse reads the head of a request from the beginning of text (RFC 9112 §2.1). What parse takes,
// net/http takes for the same request (FuzzParse).
func (p *plain) parse(text string) handOnReason {
	end := strings.Index(text, "\r\n\r\n")
	if end < 0 {
		return byHead
	}
	p.head, p.length, p.header = end+4, noLength, make(http.Header, usualFields)
	line, rest, _ := strings.Cut(text[:end+2], "\r\n")
	if !p.requestLine(line) {
		return byLine
	}
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if !p.fieldLine(line) {
			return byField
		}
	}
	if p.host == "" { // RFC 9112 §3.2
		return byField
	}
	p.pragma()
	return p.framing()
}

// requestLine reads GET, HEAD or POST, a path, a query and the version (RFC 9112 §3).
func (p *plain) requestLine(line string) bool {
	method, rest, _ := strings.Cut(line, " ")
	target, isHTTP11 := strings.CutSuffix(rest, " HTTP/1.1")
	path, query, asks := strings.Cut(target, "?")
	if !isHTTP11 || !isOriginForm(path) || !consists(query, inQuery) || asks && query == "" {
		return false
	}
	switch method {
	case http.MethodPost, http.MethodGet, http.MethodHead:
	default:
		return false
	}
	p.method, p.path, p.query, p.target = method, path, query, target
	return true
}

// isOriginForm says whether a target is a path of unreserved characters (RFC 9112 §3.2.1). Two
// slashes at its beginning would be another form.
func isOriginForm(target string) bool {
	return strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//") && consists(target, inPath)
}

// framing says how the body ends (RFC 9112 §6.3): a POST has a length or chunks, others have
// neither.
func (p *plain) framing() handOnReason {
	hasLength := p.length != noLength
	switch {
	case hasLength && p.chunked: // RFC 9112 §6.1: nobody knows which of the two is meant
		return byFraming
	case (hasLength || p.chunked) != (p.method == http.MethodPost):
		return byFraming
	case !hasLength:
		p.length = 0
	case p.head+p.length > bufferSize:
		return byLength
	}
	return notHandedOn
}

// body returns the body at the beginning of text, and how many bytes of text are the body's
// (RFC 9112 §6.3). The reason is byLateBody while the rest of the body is to come.
func (p *plain) body(text string) (body string, size int, why handOnReason) {
	if p.chunked {
		return chunkedBody(text)
	}
	if len(text) < p.length {
		return "", 0, byLateBody
	}
	return text[:p.length], p.length, notHandedOn
}
