package http1

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// response is the http.ResponseWriter of a plain request. It is written to the network in one piece, after the handler. What a goroutine
// writes into it later goes nowhere.
type response struct {
	header  http.Header
	head    []byte
	body    []byte
	status  int // 0: nothing is written yet
	close   bool
	typed   bool
	dated   bool
	nothing bool // the status allows no body (RFC 9110 §6.4.1)
	noBody  bool // of HEAD: the body is counted and not sent (RFC 9110 §9.3.2)
}

func (a *response) begin(method string, last bool) {
	a.header, a.close, a.noBody = make(http.Header, maxFields/2), last, method == http.MethodHead
}

// Header implements http.ResponseWriter.
func (a *response) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. The first final status counts, and the header as it is then. Informational
// ones are not sent.
func (a *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("http1: %d is no status", status)) // as net/http does: no bug turns into a 200
	}
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	a.nothing = status == http.StatusNoContent || status == http.StatusNotModified
	head := append(make([]byte, 0, 1<<10), "HTTP/1.1 "...)
	head = strconv.AppendInt(head, int64(status), 10)
	head = append(append(append(head, ' '), http.StatusText(status)...), "\r\n"...)
	for name, values := range a.header {
		switch name {
		case "Content-Length", "Transfer-Encoding": // how an answer is framed is said here
			continue
		case "Connection":
			a.close = a.close || len(values) > 0 && strings.EqualFold(values[0], "close")
			continue
		case "Content-Type", "Content-Encoding": // of what is encoded nobody can guess the type
			a.typed = true
		case "Date":
			a.dated = true
		default:
			if !isToken(name) {
				continue
			}
		}
		for _, v := range values {
			head = append(append(append(head, name...), ": "...), v...)
			if strings.IndexByte(v, '\n') >= 0 || strings.IndexByte(v, '\r') >= 0 { // never a second line (RFC 9110 §5.5)
				for i := len(head) - len(v); i < len(head); i++ {
					if head[i] == '\r' || head[i] == '\n' {
						head[i] = ' '
					}
				}
			}
			head = append(head, "\r\n"...)
		}
	}
	a.head = head
}

// isToken says whether a name may be a field's (RFC 9110 §5.6.2).
func isToken(name string) bool {
	for i := range len(name) {
		if kinds[name[i]]&inName == 0 && strings.IndexByte("!#$%&'*+.^`|~", name[i]) < 0 {
			return false
		}
	}
	return name != ""
}

// Write implements http.ResponseWriter.
func (a *response) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.nothing {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// finish returns the whole answer, and whether another may follow.
func (a *response) finish(date string) (out []byte, keep bool) {
	a.WriteHeader(http.StatusOK)
	head := a.head
	if !a.dated {
		head = append(append(append(head, "Date: "...), date...), "\r\n"...)
	}
	if !a.typed && len(a.body) > 0 {
		head = append(append(append(head, "Content-Type: "...), http.DetectContentType(a.body)...), "\r\n"...)
	}
	if !a.nothing && (!a.noBody || len(a.body) > 0) { // of no body net/http says no length
		head = strconv.AppendInt(append(head, "Content-Length: "...), int64(len(a.body)), 10)
		head = append(head, "\r\n"...)
	}
	if a.close {
		head = append(head, "Connection: close\r\n"...)
	}
	head = append(head, "\r\n"...)
	if a.noBody {
		return head, !a.close
	}
	return append(head, a.body...), !a.close
}
