package http1

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// usualHead is enough for the head of most answers, in bytes.
const usualHead = 512

// response is the http.ResponseWriter of a plain request. Its bytes go to the network in one piece,
// after the handler. What a goroutine writes later goes nowhere.
type response struct {
	header   http.Header
	head     []byte
	body     []byte
	status   int  // 0: nothing is written yet
	close    bool // this answer is the last of the connection
	typed    bool // the handler has set Content-Type, or Content-Encoding
	dated    bool // the handler has set Date
	bodiless bool // the status allows no body (RFC 9110 §6.4.1)
	headOnly bool // of HEAD: the body is counted and not sent (RFC 9110 §9.3.2)
}

func (a *response) begin(method string, last bool) {
	a.header, a.close, a.headOnly = make(http.Header, usualFields), last, method == http.MethodHead
}

// Header implements http.ResponseWriter.
func (a *response) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. The first final status counts, with the header of
// that moment. Informational responses are not sent.
func (a *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("http1: %d is no status", status)) // as net/http does: a bug makes no 200
	}
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	a.bodiless = status == http.StatusNoContent || status == http.StatusNotModified
	a.statusLine(status)
	for name, values := range a.header {
		a.fieldLines(name, values)
	}
}

// statusLine begins the head (RFC 9112 §4).
func (a *response) statusLine(status int) {
	a.head = append(make([]byte, 0, usualHead), "HTTP/1.1 "...)
	a.head = strconv.AppendInt(a.head, int64(status), 10)
	a.head = append(append(append(a.head, ' '), http.StatusText(status)...), "\r\n"...)
}

// fieldLines adds a header field of the handler (RFC 9112 §5). How the answer is framed is not for
// the handler to say.
func (a *response) fieldLines(name string, values []string) {
	switch name {
	case "Content-Length", "Transfer-Encoding":
		return
	case "Connection":
		a.close = a.close || len(values) > 0 && strings.EqualFold(values[0], "close")
		return
	case "Content-Type", "Content-Encoding": // nobody can guess the type of encoded bytes
		a.typed = true
	case "Date":
		a.dated = true
	default:
		if !isToken(name) {
			return
		}
	}
	for _, value := range values {
		a.fieldLine(name, value)
	}
}

// fieldLine adds one line: a value with line ends makes no second line (RFC 9110 §5.5).
func (a *response) fieldLine(name, value string) {
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	a.head = append(append(append(append(a.head, name...), ": "...), value...), "\r\n"...)
}

// Write implements http.ResponseWriter.
func (a *response) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.bodiless {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// finish writes the whole answer into the memory of a connection, which no handler sees, and says
// whether a further answer may follow.
func (a *response) finish(out []byte, date string) (_ []byte, goesOn bool) {
	a.WriteHeader(http.StatusOK)
	if !a.dated {
		a.fieldLine("Date", date)
	}
	if !a.typed && len(a.body) > 0 {
		a.fieldLine("Content-Type", http.DetectContentType(a.body))
	}
	if !a.bodiless && (!a.headOnly || len(a.body) > 0) { // net/http states no length of no body
		a.head = strconv.AppendInt(append(a.head, "Content-Length: "...), int64(len(a.body)), 10)
		a.head = append(a.head, "\r\n"...)
	}
	if a.close {
		a.fieldLine("Connection", "close")
	}
	out = append(append(out, a.head...), "\r\n"...)
	if a.headOnly {
		return out, !a.close
	}
	return append(out, a.body...), !a.close
}
