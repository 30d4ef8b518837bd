package server

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/http1"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/tokens"
)

// exchange is one request on its way through the steps. It is also the context and the
// client that go-oauth2 sees, so that every path that skips authentication is refused by
// the library as well.
//
// As a context it has the request's values and no end: a client that hangs up must not
// abort a rotation half-way, and go-redis v8 would spend a goroutine a command on a context
// that can be cancelled. Time is bounded by the server's and the store's timeouts.
type exchange struct {
	context.Context
	gin    *gin.Context
	fixed  *fixedHeaders
	peer   string          // see clientIP
	id     string          // X-Request-Id
	form   url.Values      // set by formBody
	body   []byte          // set by jsonBody
	client *clients.Client // set by authenticateClient and by nothing else

	address    netip.Addr // of the client; not valid: nobody knows
	ipv6Prefix int        // see network

	began    time.Time
	endSpan  func()        // nil: it has none
	endpoint string        // which of routes.go, for metrics
	grant    string        // grant_type of a token request
	issued   tokens.Token  // set by generator.Token
	audience []string      // set by decideScope
	login    *login        // set by checkPassword
	left     time.Duration // of the access token, where it is less than its full life
	reason   string        // why it was refused, for the log
	cause    error         // what went wrong, for the log; nil: nothing did
	site     string        // where it panicked; "": nowhere
	note     string        // what is unusual about what was issued, for the trail
	locked   string        // the id of the user who is locked; "": nobody, or nobody knows whose name it is

	stored            *clients.Stored // set by registrationToken
	registrationToken string          // as presented, likewise
	claimed           string          // the client that a request says it comes from, where that is printable
}

// format names the form of the access token that was issued.
func (x *exchange) format() string {
	if x.issued.JTI != "" {
		return clients.FormatJWT
	}
	return clients.FormatOpaque
}

type exchangeKey struct{}

// Done, Err and Deadline hide the request's cancellation; see exchange.
func (x *exchange) Done() <-chan struct{}       { return nil }
func (x *exchange) Err() error                  { return nil }
func (x *exchange) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value finds the exchange itself, then the request's values.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	return x.Context.Value(key)
}

// exchangeFrom returns the exchange of a context that the library handed back; nil if it is
// another's.
func exchangeFrom(ctx context.Context) *exchange {
	if x, ok := http1.Carried(ctx).(*exchange); ok {
		return x
	}
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

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
	defer s.shed.leave()
	if err := s.shed.enter(endpoint); err != nil {
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
	x := &exchange{Context: c.Request.Context(), gin: c, fixed: s.fixed, id: newRequestID(), ipv6Prefix: s.cfg.IPv6Prefix}
	h := c.Writer.Header()
	h["X-Request-Id"] = []string{x.id}
	h["X-Content-Type-Options"] = x.fixed.noSniff
	h["Referrer-Policy"] = x.fixed.noReferrer
	// RFC 9112 §6.1: net/http believes the chunks and hides a Content-Length beside them, so after any chunked request
	// the connection ends. On a stop: so that nobody sends the next request into a connection that is about to close.
	if s.drain.Load() || len(c.Request.TransferEncoding) > 0 {
		c.Header("Connection", "close")
	}
	peer := peerOf(c.Request)
	var why doubt
	if x.address, why = s.proxies.clientOf(peer, c.Request.Header); why != noDoubt {
		s.warnOfForwarding(x, peer, why)
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
	if x.endSpan != nil {
		x.endSpan()
	}
	s.logRequest(x, took)
}

// newAnswer is an object without members, with place for an answer of usual length.
func newAnswer() jsonobject.Object { return make(jsonobject.Object, 0, 512) }

// fixedHeaders are values that every answer shares. Nobody may write into them; Header.Set and Add do not.
type fixedHeaders struct {
	noStore, noCache, noSniff, noReferrer, json []string
}

func newFixedHeaders() *fixedHeaders {
	return &fixedHeaders{noStore: []string{"no-store"}, noCache: []string{"no-cache"}, noSniff: []string{"nosniff"},
		noReferrer: []string{"no-referrer"}, json: []string{"application/json"}}
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

// logRequest writes one line: refusals and failures always, the rest at debug level. It names
// the route, never the query, which may hold what a confused client put there.
func (s *Server) logRequest(x *exchange, took time.Duration) {
	status := x.gin.Writer.Status()
	level := slog.LevelDebug
	switch {
	case status >= 500, x.site != "":
		level = slog.LevelError
	case status >= 400:
		level = slog.LevelInfo
	}
	if !s.log.Enabled(x, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("method", x.gin.Request.Method),
		slog.String("route", x.gin.FullPath()), slog.Int("status", status),
		slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("peer", x.clientIP()),
	}
	if x.client != nil {
		attrs = append(attrs, slog.String("client_id", x.client.ID))
	} else if x.claimed != "" {
		attrs = append(attrs, slog.String("claimed_client_id", x.claimed))
	}
	if x.grant != "" && status < 400 {
		attrs = append(attrs, slog.String("grant_type", x.grant))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", x.reason))
	}
	if x.cause != nil {
		attrs = append(attrs, slog.String("error", x.cause.Error()))
	}
	if x.site != "" {
		attrs = append(attrs, slog.String("panic_at", x.site))
	}
	if x.locked != "" { // for "grantor user … --sub"
		attrs = append(attrs, slog.String("sub", x.locked))
	}
	s.log.LogAttrs(x, level, "request", attrs...)
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
