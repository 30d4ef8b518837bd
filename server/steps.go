package server

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// step is one named thing that an endpoint does with a request.
type step func(*exchange) error

// do is the only adapter to Gin: it runs the steps in order and gives the first error
// to the one voice that answers.
func (s *Server) do(endpoint string, steps ...step) gin.HandlerFunc {
	return func(c *gin.Context) {
		if x := exchangeFrom(c.Request.Context()); x != nil { // observe came before
			s.run(x, endpoint, steps)
			return
		}
		x := s.begin(c)
		defer s.end(x)
		s.run(x, endpoint, steps)
	}
}

func (s *Server) run(x *exchange, endpoint string, steps []step) {
	x.endpoint = endpoint
	h := x.gin.Writer.Header()
	h["Cache-Control"] = x.fixed.noStore // RFC 6749 §5.1; metadata sets its own
	h["Pragma"] = x.fixed.noCache
	defer s.leaveOverload(x)
	if err := s.overload.enter(endpoint); err != nil {
		s.refuse(x, err)
		return
	}
	for _, st := range steps {
		if err := st(x); err != nil {
			s.refuse(x, err)
			return
		}
	}
}

// observe begins the exchange before other middleware, which finds it in the request's context.
func (s *Server) observe(c *gin.Context) {
	x := s.begin(c)
	c.Request = c.Request.WithContext(x)
	defer s.end(x)
	c.Next()
}

// begin gives a request its id and its exchange.
func (s *Server) begin(c *gin.Context) *exchange {
	x := &exchange{Context: c.Request.Context(), gin: c, fixed: s.fixed, id: newRequestID(),
		ipv6Prefix: s.cfg.IPv6Prefix}
	h := c.Writer.Header()
	h["X-Request-Id"] = []string{x.id}
	h["X-Content-Type-Options"] = x.fixed.noSniff
	h["Referrer-Policy"] = x.fixed.noReferrer
	// RFC 9112 §6.1: net/http hides a Content-Length beside chunks, so the connection ends after a
	// chunked request; http1 takes none with both. While draining: no client shall send its next
	// request into a connection that is about to close.
	if s.draining.Load() || len(c.Request.TransferEncoding) > 0 && !isWhole(c.Request.Body) {
		c.Header("Connection", "close")
	}
	peer := peerOf(c.Request)
	var why doubt
	if x.address, why = s.proxies.clientOf(peer, c.Request.Header); why != noDoubt {
		s.doubted.warn(s.log, x, peer, why)
		x.hidden = why.Hides()
	}
	s.startSpan(x)
	x.began = time.Now()
	return x
}

// end survives panics and writes the log line. It must be deferred itself.
func (s *Server) end(x *exchange) {
	if p := recover(); p != nil {
		s.panicked(x, p)
	}
	took := time.Since(x.began)
	s.cfg.Metrics.Request(x.endpoint, x.gin.Writer.Status(), took)
	s.cfg.Metrics.ClientRequest(x.clientID(), x.endpoint, x.gin.Writer.Status())
	if x.endSpan != nil {
		x.endSpan()
	}
	s.logRequest(x, took)
}

// newRequestID draws 80 bits that name a request in the log. They are no secret.
func newRequestID() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [16]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := range id {
		if i == 12 {
			a = b
		}
		id[i] = digits[a&31]
		a >>= 5
	}
	return string(id[:])
}

func (s *Server) panicked(x *exchange, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	x.site = panicSite()
	if !x.gin.Writer.Written() {
		s.refuse(x, &Error{Code: codeServerError, Status: http.StatusInternalServerError, Reason: "panic"})
	}
}

// panicSite names the functions above a panic. The value itself stays out of the log: it may hold
// anything.
func panicSite() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(5, pcs)])
	var site strings.Builder
	for {
		f, more := frames.Next()
		fmt.Fprintf(&site, "%s:%d ", f.Function, f.Line)
		if !more {
			return site.String()
		}
	}
}
