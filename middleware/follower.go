package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// FollowerConfig is what a Follower is made of.
type FollowerConfig struct {
	Issuer       string // the authorization server; its metadata names revocation_feed_endpoint (RFC 8414)
	URL          string // the revocation feed itself; "": found by the metadata
	ClientID     string // a client that may introspect: introspect = "audience" or "any"
	ClientSecret string

	// MaxLease is the longest time for which an end may go unseen. 0: what the server says, 1
	// second by default. With less than half of what the server says, most checks ask.
	MaxLease time.Duration

	// MaxEnded is how many ended names are remembered, each for 24 hours, in at most 22 bytes. 0:
	// 1,000,000. Where there are more, tokens are asked about that could be among the forgotten:
	// every JWT for 24 hours. Without JWTConfig.Ask the JWTs are refused that were issued before.
	MaxEnded int

	HTTPClient *http.Client // its transport carries the polls; nil: one of our own

	// Observe is told the state after each poll, about four times a lease. It must not block.
	Observe func(FollowerStats)
	Log     *slog.Logger // when the feed fails, and when it is back; nil: slog.Default()

	// AllowInsecureHTTP takes Issuer and URL with http:// off loopback, for a server inside a
	// cluster. Danger: the ClientSecret goes over the network in clear, and whoever is on the way
	// can keep ends from this API. Use it only where something else protects that way, such as a
	// service mesh with mutual TLS.
	AllowInsecureHTTP bool
}

// Follower follows the revocation feed of one issuer, for verifiers that check tokens in memory
// and still refuse a revoked one: see IntrospectionConfig.Follow and JWTConfig.Follow. Verifiers of
// one issuer share one Follower.
//
// The promise: once Grantor answered 200 to a revocation, log-out or another end, no check that
// begins more than a lease later lets the token pass. A Follower that cannot keep the promise is
// stale: verifiers ask then, and where they cannot ask they answer 503. No clock need be right.
type Follower struct {
	cfg    FollowerConfig
	client *http.Client
	clock  func() moment

	// What checks read, in this order: lease, ended, notBefore, and then generation or horizon. The
	// follower writes the lease last: who sees it sees all that it rests on. It writes generation and
	// horizon before it forgets a name: who does not find the name any more sees them.
	lease      atomic.Pointer[lease]
	ended      *endedSet
	notBefore  atomic.Int64  // seconds since 1970; a token that was issued before is not used
	generation atomic.Uint64 // answers that were asked for in another one are not used
	horizon    atomic.Int64  // until then, by the steady clock, no JWT is used without asking
	keepFrom   atomic.Int64  // answers that were asked for before, by the steady clock, are not kept

	// With nobody to ask, a JWT that was issued later is used within the horizon, since 1970 by the
	// server's clock.
	issuedAfter atomic.Int64

	// The poller's own.
	endpoint    string
	position    string
	serverLease time.Duration // as the server said last
	failing     int           // polls that failed one after another
	released    bool          // the last answer said nothing: its node stops

	hits     tally
	asks     atomic.Uint64
	resets   atomic.Uint64
	polls    atomic.Uint64
	failures atomic.Uint64
	failed   atomic.Pointer[error]

	once   sync.Once
	ctx    context.Context //nolint:containedctx // the poller's life, from NewFollower to Close
	cancel context.CancelFunc
	done   chan struct{}
}

// NewFollower checks cfg and returns a follower. The server need not be up yet, nor have a feed:
// the first check begins the polls, and verifiers ask until an answer came. Close ends the polls.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("middleware: Issuer is missing: a follower serves tokens of one issuer alone")
	case cfg.ClientID == "" || cfg.ClientSecret == "":
		return nil, errors.New("middleware: a follower needs ClientID and ClientSecret of a client that may introspect")
	case cfg.MaxLease < 0:
		return nil, errors.New("middleware: MaxLease must not be negative")
	case cfg.MaxEnded != 0 && cfg.MaxEnded < minMaxEnded:
		return nil, errors.New("middleware: MaxEnded is a number of names, at least 1,000, or 0 for 1,000,000")
	}
	for _, where := range []string{cfg.Issuer, cfg.URL} {
		if where == "" {
			continue
		}
		if err := secureURL(where, cfg.AllowInsecureHTTP); err != nil {
			return nil, err
		}
	}
	if cfg.MaxEnded == 0 {
		cfg.MaxEnded = defaultMaxEnded
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	f := &Follower{cfg: cfg, client: pollClient(cfg.HTTPClient), clock: clockFrom(time.Now()),
		ended: newEndedSet(cfg.MaxEnded), endpoint: cfg.URL, serverLease: defaultLease, done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f, nil
}

// serves is nil when the follower is of this issuer. A nil follower serves every issuer, and "" is
// any.
func (f *Follower) serves(issuer string) error {
	if f == nil || issuer == "" || f.cfg.Issuer == issuer {
		return nil
	}
	const text = "middleware: Follow is of the issuer %q, not of %q: what ends there is unknown to it"
	return fmt.Errorf(text, f.cfg.Issuer, issuer)
}

// pollClient carries polls. It follows no redirect: the request holds the ClientSecret.
func pollClient(given *http.Client) *http.Client {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	switch {
	case given == nil:
		c.Transport = defaultTransport(stalePollTimeout)
	case given.Transport == nil:
		c.Transport = http.DefaultTransport
	default:
		c.Transport = given.Transport
	}
	return c
}

// begin starts the polls, once.
func (f *Follower) begin() { f.once.Do(func() { go f.follow() }) }

// Close ends the polls and waits for their end. The follower is stale afterwards.
func (f *Follower) Close() {
	f.cancel()
	f.once.Do(func() { close(f.done) })
	<-f.done
}

// FollowerStats is the state of a Follower, for metrics.
type FollowerStats struct {
	Fresh    bool          // checks are answered from memory
	Age      time.Duration // since the poll was sent that the lease rests on; 0 when there is none
	Entries  int           // ended names that are remembered
	Hits     uint64        // checks that were answered from memory
	Asks     uint64        // checks that were not: they asked, or were refused
	Resets   uint64        // how often all kept answers were dropped
	Polls    uint64
	Failures uint64 // polls that failed
	Err      error  // why the last poll failed; nil: it did not
}

// Stats returns the state. Any number of goroutines may call it.
func (f *Follower) Stats() FollowerStats {
	s := FollowerStats{Entries: int(f.ended.count.Load()), Hits: f.hits.sum(), Asks: f.asks.Load(),
		Resets: f.resets.Load(), Polls: f.polls.Load(), Failures: f.failures.Load()}
	if err := f.failed.Load(); err != nil {
		s.Err = *err
	}
	now := f.clock()
	if l := f.lease.Load(); l != nil {
		s.Fresh = now.before(l.until)
		s.Age = max(now.steady-l.sent.steady, now.wall-l.sent.wall)
	}
	return s
}

// tally is a counter that many processors add to.
type tally [16]struct {
	n atomic.Uint64
	_ [56]byte // one cache line each
}

// add counts one. Whose spread is alike add to different places.
func (t *tally) add(spread byte) { t[spread%16].n.Add(1) }

func (t *tally) sum() (n uint64) {
	for i := range t {
		n += t[i].n.Load()
	}
	return n
}
