package server

import (
	"context"
	"net/netip"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
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
	endSpan  func()          // nil: it has none
	endpoint string          // which of routes.go, for metrics
	grant    string          // grant_type of a token request
	issued   tokens.Token    // set by generator.Token
	audience []string        // set by decideScope
	record   *tokens.Record  // of issued; set by mint
	session  *pendingSession // set by checkPassword
	left     time.Duration   // of the access token, where it is less than its full life
	reason   string          // why it was refused, for the log
	cause    error           // what went wrong, for the log; nil: nothing did
	site     string          // where it panicked; "": nowhere
	note     string          // what is unusual about what was issued, for the trail
	locked   string          // the id of the user who is locked; "": nobody, or nobody knows whose name it is

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
	if x, ok := carried(ctx).(*exchange); ok {
		return x
	}
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// pendingSession is the session of a user who has proved themselves, until it is stored.
type pendingSession struct {
	id      tokens.SessionID
	user    *users.User
	epoch   tokens.Epoch // read before the directory was asked for the last time
	refresh tokens.Token // of no Kind where the client gets none
}

// clientIP is the address that a request comes from, as logs and the audit trail show it.
func (x *exchange) clientIP() string {
	if !x.address.IsValid() {
		return "unknown"
	}
	if x.peer == "" {
		x.peer = x.address.String()
	}
	return x.peer
}

// network is what counts as one address: whoever has an IPv6 address has a whole network of them.
func (x *exchange) network() string {
	if x.address.Is4() || !x.address.IsValid() {
		return x.clientIP()
	}
	network, err := x.address.Prefix(x.ipv6Prefix)
	if err != nil {
		return x.clientIP()
	}
	return network.String()
}

// coarseNetwork tells a user's devices apart without following the user: sessions show it, and
// suspicious retries are found by it. It is never finer than network.
func (x *exchange) coarseNetwork() string {
	bits := 24
	if x.address.Is6() {
		bits = min(48, x.ipv6Prefix)
	}
	network, err := x.address.Prefix(bits)
	if err != nil || !network.IsValid() {
		return ""
	}
	return network.String()
}

// issuedTokens are the tokens of one answer of the token endpoint.
type issuedTokens struct {
	access, refresh string        // refresh: "" where the client gets none
	scope           string        // of access
	ttl             time.Duration // of access, from the second of its iat
}
