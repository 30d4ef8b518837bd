package middleware

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Times of the polls.
const (
	defaultLease     = time.Second      // until the server has said one
	maxLease         = time.Minute      // the most that a server may say
	stalePollTimeout = 2 * time.Second  // at least, and longer after each failure: no lease hangs on the answer
	maxPollTimeout   = 20 * time.Second // a server of the longest lease holds a poll for 15 seconds
	maxBackOff       = 4 * time.Second  // of a server that fails
	refusedBackOff   = 10 * time.Second // of a server that refuses this client, or has no feed
	endDelay         = 10 * time.Second // from the name of an end to the end, at most
	maxPollAnswer    = 8 << 20          // bytes
)

// pollAnswer is one answer of the revocation feed.
type pollAnswer struct {
	Echo      string   `json:"echo"`
	Position  string   `json:"position"`
	Lease     float64  `json:"lease"` // seconds
	Complete  bool     `json:"complete"`
	Reset     bool     `json:"reset"`
	NotBefore int64    `json:"not_before"`
	Ended     []string `json:"ended"`
}

// errNoFeed: the metadata does not name the endpoint.
var errNoFeed = errors.New("discovery: the metadata has no revocation_feed_endpoint: the server has no revocation feed")

// follow polls until Close.
func (f *Follower) follow() {
	defer close(f.done)
	defer f.lease.Store(nil)
	for f.ctx.Err() == nil {
		pause := f.turn()
		select {
		case <-f.ctx.Done():
		case <-time.After(pause):
		}
	}
}

// turn is one poll, and its report. A panic, perhaps of Observe, is no end of the API.
func (f *Follower) turn() (pause time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			f.cfg.Log.Error("the revocation feed: a poll panicked", "issuer", f.cfg.Issuer, "panic", fmt.Sprint(p))
			pause = f.serverLease / 4
		}
	}()
	pause, err := f.poll()
	if f.ctx.Err() != nil {
		return 0
	}
	if err == nil {
		f.failing = 0
	} else {
		f.failing++
		pause = f.backOff(err)
	}
	f.report(err)
	return pause
}

// report counts a poll and tells of it: a failure in the log once, until a poll succeeds.
func (f *Follower) report(err error) {
	f.polls.Add(1)
	was := f.failed.Load()
	switch {
	case err != nil:
		f.failures.Add(1)
		f.failed.Store(&err)
		if was == nil {
			f.cfg.Log.Warn("the revocation feed cannot be read", "issuer", f.cfg.Issuer, "error", err.Error())
		}
	case was != nil:
		f.failed.Store(nil)
		f.cfg.Log.Info("the revocation feed is read again", "issuer", f.cfg.Issuer)
	}
	if f.cfg.Observe != nil {
		f.cfg.Observe(f.Stats())
	}
}

// poll asks once and applies the answer. It returns how long to wait before the next poll.
func (f *Follower) poll() (pause time.Duration, err error) {
	ctx, cancel := context.WithTimeout(f.ctx, f.timeout())
	defer cancel()
	if err := f.locate(ctx); err != nil {
		return 0, err
	}
	echo := rand.Text()
	req, err := f.request(ctx, echo)
	if err != nil {
		return 0, err
	}
	var a pollAnswer
	sent := f.clock()
	header, err := getJSON(f.client, req, maxPollAnswer, &a)
	if err != nil {
		f.refused(err)
		return 0, fmt.Errorf("revocation feed: %w", err)
	}
	if err := f.checkPoll(&a, echo); err != nil {
		return 0, fmt.Errorf("revocation feed: %w", err)
	}
	moved := a.Position != f.position
	f.released = !a.Complete && !moved
	f.apply(&a, sent, dateOf(header))
	return f.pause(&a, moved, f.clock().steady-sent.steady), nil
}

// timeout is how long a poll may take. While a lease runs, half of it: a poll that hangs is given
// up while there is time for another one.
func (f *Follower) timeout() time.Duration {
	if l := f.lease.Load(); l != nil && f.clock().before(l.until) {
		return f.serverLease / 2
	}
	return min(max(f.serverLease, stalePollTimeout)<<min(f.failing, 4), maxPollTimeout)
}

// locate finds the endpoint, once.
func (f *Follower) locate(ctx context.Context) error {
	if f.endpoint != "" {
		return nil
	}
	m, err := discover(ctx, f.client, f.cfg.Issuer)
	if err != nil {
		return err
	}
	if m.Feed == "" {
		return errNoFeed
	}
	if err := discovered("revocation_feed_endpoint", m.Feed, f.cfg.Issuer, f.cfg.AllowInsecureHTTP); err != nil {
		return err
	}
	f.endpoint = m.Feed
	return nil
}

func (f *Follower) request(ctx context.Context, echo string) (*http.Request, error) {
	form := url.Values{"after": {f.position}, "echo": {echo}}
	body := strings.NewReader(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.endpoint, body) // #nosec G704 -- the issuer's
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(f.cfg.ClientID), url.QueryEscape(f.cfg.ClientSecret)) // RFC 6749 §2.3.1
	return req, nil
}

// checkPoll refuses an answer that is not to this poll, or that says nothing. A node that stops may
// release one poll without an answer; the next goes to another node.
func (f *Follower) checkPoll(a *pollAnswer, echo string) error {
	switch {
	case a.Echo != echo:
		return errors.New("the answer is to another poll: something on the way repeats or caches answers")
	case a.Position == "" || a.Lease <= 0:
		return errors.New("the answer has no position or no lease")
	case !a.Complete && a.Position == f.position && f.released:
		return errors.New("the answer is not complete and leads no further")
	}
	return nil
}

// apply takes an answer. The lease comes last: who sees it sees all that it rests on.
func (f *Follower) apply(a *pollAnswer, sent moment, date time.Time) {
	now := f.clock().steady
	f.serverLease = time.Duration(min(a.Lease, maxLease.Seconds()) * float64(time.Second))
	if a.Reset {
		f.lease.Store(nil)
		f.dropAnswers()
	}
	f.ended.losing = func() { f.forget(now, date) }
	for _, name := range a.Ended {
		switch name {
		case otherRules: // said again when they are in force
			f.askAnew(now, 0)
		case nameless:
			f.forget(now, date)
		default:
			f.ended.add(name, now)
		}
	}
	f.ended.trim(now)
	f.notBefore.Store(a.NotBefore)
	f.position = a.Position
	if a.Complete {
		f.lease.Store(&lease{sent: sent, until: sent.add(f.shorter(f.serverLease))})
	}
}

// shorter returns the lease of the server, or the shorter one of the configuration.
func (f *Follower) shorter(lease time.Duration) time.Duration {
	if f.cfg.MaxLease > 0 {
		return min(lease, f.cfg.MaxLease)
	}
	return lease
}

// dropAnswers ends the use of all answers that are kept or being asked for.
func (f *Follower) dropAnswers() {
	f.generation.Add(1)
	f.resets.Add(1)
}

// forget is for ends whose names are not known, or not any more. No JWT is taken from memory while
// one may live that was issued before.
func (f *Follower) forget(now time.Duration, date time.Time) {
	f.issuedAfter.Store(date.Add(maxSkew).Unix())
	f.horizon.Store(int64(now + retention))
	f.askAnew(now, endDelay)
}

// askAnew drops every answer. Another is kept only if the question came so late that the node that
// answers knew: a lease later, and delay, in which an end may come after its name.
func (f *Follower) askAnew(now, delay time.Duration) {
	f.keepFrom.Store(max(f.keepFrom.Load(), int64(now+f.serverLease+delay)))
	f.dropAnswers()
}

// refused takes what a refusal says.
func (f *Follower) refused(err error) {
	var status statusError
	if !errors.As(err, &status) {
		return
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden: // this client must not know any more
		f.lease.Store(nil)
	case http.StatusBadRequest: // the position is no position of this server: begin anew
		if f.position != "" {
			f.position = ""
			f.lease.Store(nil)
			f.dropAnswers()
		}
	}
}

// pause is how long to wait after an answer. The server holds a poll until there is something to
// tell. Pollers that were all answered at once spread out.
func (f *Follower) pause(a *pollAnswer, moved bool, took time.Duration) time.Duration {
	switch {
	case !a.Complete || moved:
		return 0
	case took < f.serverLease/8: // it did not hold the poll, as one that is being stopped
		return f.serverLease/8 + mathrand.N(f.serverLease/32+1) // #nosec G404 -- jitter
	}
	return mathrand.N(f.serverLease/32 + 1) // #nosec G404 -- jitter
}

// backOff is how long to wait after a failure: not at all when a poll hung the first time, since
// the next one takes another connection.
func (f *Follower) backOff(err error) time.Duration {
	var status statusError
	switch {
	case errors.Is(err, errNoFeed), errors.As(err, &status) && status.lasts():
		return refusedBackOff + mathrand.N(refusedBackOff) // #nosec G404 -- jitter
	case errors.Is(err, context.DeadlineExceeded):
		f.client.CloseIdleConnections()
		if f.failing == 1 {
			return 0
		}
	}
	limit := min(f.serverLease/4<<min(f.failing-1, 10), maxBackOff)
	return mathrand.N(limit + 1) // #nosec G404 -- jitter
}
