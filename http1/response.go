package http1

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// response is the http.ResponseWriter of a plain request. It is written to the network in one piece, after the handler.
type response struct {
	header  http.Header
	status  int // 0: nothing is written yet
	close   bool
	typed   bool
	dated   bool
	out     *buffers
	nothing bool // the status allows no body (RFC 9110 §6.4.1)
}

// buffers are the head of an answer, and its body. They are a connection's only while it answers.
type buffers struct{ head, body []byte }

func newBuffers() any { return &buffers{make([]byte, 0, 1<<10), make([]byte, 0, 1<<10)} }

// mostSpare is the longest buffer that is kept for another answer.
const mostSpare = 16 << 10

func (a *response) begin(spare *sync.Pool) {
	clear(a.header)
	*a = response{header: a.header, out: spare.Get().(*buffers)}
}

func (a *response) end(spare *sync.Pool) {
	b := a.out
	a.out = nil
	if cap(b.head) <= mostSpare && cap(b.body) <= mostSpare {
		b.head, b.body = b.head[:0], b.body[:0]
		spare.Put(b)
	}
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
	head := append(a.out.head, "HTTP/1.1 "...)
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
	a.out.head = head
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
	a.out.body = append(a.out.body, p...)
	return len(p), nil
}

// finish returns the whole answer, and whether another may follow.
func (a *response) finish(date string) (out []byte, keep bool) {
	a.WriteHeader(http.StatusOK)
	head, body := a.out.head, a.out.body
	if !a.dated {
		head = append(append(append(head, "Date: "...), date...), "\r\n"...)
	}
	if !a.typed && len(body) > 0 {
		head = append(append(append(head, "Content-Type: "...), http.DetectContentType(body)...), "\r\n"...)
	}
	if !a.nothing {
		head = strconv.AppendInt(append(head, "Content-Length: "...), int64(len(body)), 10)
		head = append(head, "\r\n"...)
	}
	if a.close {
		head = append(head, "Connection: close\r\n"...)
	}
	a.out.head = append(append(head, "\r\n"...), body...)
	return a.out.head, !a.close
}
