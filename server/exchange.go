package server

import (
	"context"
	"net/netip"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/scopes"
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
	client *clients.Client // set by authenticateClient and authenticateIntrospector, and by nothing else

	address    netip.Addr // of the client; not valid: nobody knows
	hidden     bool       // address is a proxy's: the proxy did not say whose request it passed on
	ipv6Prefix int        // see network

	began    time.Time
	endSpan  func()          // nil: it has none
	endpoint string          // which of routes.go, for metrics
	grant    string          // grant_type of a token request
	issued   tokens.Token    // set by generator.Token, or mintFrom
	from     *activeToken    // that issued was exchanged from; nil: it was not exchanged
	audience []string        // set by decideScope
	record   *tokens.Record  // of issued; set by mint
	session  *pendingSession // set by checkPassword
	asking   activeToken     // set by authenticateUser and authenticateIntrospector
	wanted   string          // the scope that a token in the Authorization header needs, for challenges
	left     time.Duration   // of the access token, where it is less than its full life
	reason   Reason          // why it was refused, for the log
	cause    error           // what went wrong, for the log; nil: nothing did
	site     string          // where it panicked; "": nowhere
	note     Reason          // what is unusual about what was issued, for the trail
	inactive tokens.Token    // what an introspection found inactive, for the log; of no Kind: nothing that is ours
	locked   string          // the id of the user who is locked; "": nobody, or nobody knows whose name it is

	stored            *clients.Stored       // set by registrationToken
	registrationToken string                // as presented, likewise
	uncounted         bool                  // overload counts it no more
	quiet             bool                  // its failure was logged elsewhere
	shown             tokens.Confirmation   // what the request proved that its tokens are bound to
	proof             tokens.Proof          // of the key in shown; zero: none
	scheme            string                // under which an access token came; see challenge
	certificate       *clientcert.Presented // see certificateOf; nil: not read yet
	credential        string                // that proved the client, or was right and is refused; "": none
	claimed           string                // the client that a request says it comes from, where that is printable
}

// format names the form of the access token that was issued.
func (x *exchange) format() string {
	if x.issued.JTI != "" {
		return clients.FormatJWT
	}
	return clients.FormatOpaque
}

// clientID is the client that proved itself, or that the request says it comes from; "": nobody.
func (x *exchange) clientID() string {
	if x.client != nil {
		return x.client.ID
	}
	return x.claimed
}

// surely is the client's address where it decides who is let in; not valid: nobody knows.
func (x *exchange) surely() netip.Addr {
	if x.hidden {
		return netip.Addr{}
	}
	return x.address
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

	device string     // the device's name, "" where the app did not say
	apart  scopes.Set // granted to the session, and not in its first access token; see ofLogin
	scope  scopes.Set // granted to the session: set by decideScope
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
	return address.Counted(x.address, x.ipv6Prefix)
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
	kind            string        // issued_token_type of a token exchange; "": it is none
}
