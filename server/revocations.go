package server

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// revocations answers a poll of the revocation feed: what ended behind the position after. It is a
// long poll: nothing new, and it is held for a quarter of the lease. What a verifier makes of the
// answer rests on when it sent the poll, so no answer is older than that.
func (s *Server) revocations(x *exchange) error {
	q, err := readPoll(x)
	if err != nil {
		return err
	}
	if err := mayFollow(x.client); err != nil {
		return err
	}
	defer s.polls.leave(x.client.ID)
	if err := s.polls.enter(x.client.ID); err != nil {
		return err
	}
	s.leaveOverload(x) // a held poll costs nothing
	hold, release := s.holdPolls()
	ctx := x.Context
	if hold <= unwatchedHold {
		ctx = x // which has no end
	}
	b, err := s.cfg.Feed.Reader().Poll(ctx, q.after, hold, release)
	if err != nil {
		return s.pollFailed(x, err)
	}
	s.cfg.Metrics.Polled(resultOf(x, b))
	x.write(http.StatusOK, s.pollAnswer(q.echo, b))
	return nil
}

// pollRequest are the parameters of a poll.
type pollRequest struct {
	after feed.Position // "": from the first entry
	echo  string        // comes back, so that a verifier can tell an answer that a proxy remembered
}

// maxEcho is the length of the longest echo, in bytes.
const maxEcho = 64

func readPoll(x *exchange) (q pollRequest, err error) {
	q = pollRequest{after: feed.Position(x.form.Get("after")), echo: x.form.Get("echo")}
	if len(q.echo) > maxEcho {
		return q, refusal(codeInvalidRequest, "echo is longer than %d bytes", maxEcho)
	}
	if !q.after.Valid() {
		return q, refusal(codeInvalidRequest, "after is no position of this feed: it is the member position of "+
			"an earlier answer, or absent")
	}
	return q, nil
}

// mayFollow refuses clients that see no tokens but their own: they have nothing to verify.
func mayFollow(c *clients.Client) error {
	if c.Introspect == clients.SightAudience || c.Introspect == clients.SightAny {
		return nil
	}
	return &Error{Code: codeUnauthorizedClient, Status: http.StatusForbidden, Reason: "introspect_own",
		Description: `the revocation feed is for clients with introspect = 'audience' or 'any'`}
}

// drainHold is for how long a poll is held that comes while the node drains.
const drainHold = 250 * time.Millisecond

// holdPolls says for how long a poll is held, and what ends it earlier: the beginning of the drain.
// A poll that comes later is held too, or verifiers would ask without a pause.
func (s *Server) holdPolls() (hold time.Duration, release <-chan struct{}) {
	hold = min(s.cfg.Feed.Reader().Lease()/4, maxHold)
	if s.draining.Load() {
		return min(hold, drainHold), nil
	}
	return hold, s.drained
}

// unwatchedHold is for how long a poll is held without a look at the connection: to notice in this
// time that a verifier hung up would cost more than it saves.
const unwatchedHold = time.Second

// maxHold is below every timeout of NewHTTP, and of proxies.
const maxHold = 8 * time.Second

// pollAnswer writes an answer. The feed has written most of it, once for all who ask.
func (s *Server) pollAnswer(echo string, b *feed.Batch) []byte {
	members := b.Members()
	o := make(jsonobject.Object, 0, len(members)+160).Text("echo", echo).Name("lease")
	o = strconv.AppendFloat(o, s.cfg.Feed.Reader().Lease().Seconds(), 'f', -1, 64)
	if !s.cfg.NotBefore.IsZero() {
		o = o.Number("not_before", s.cfg.NotBefore.Unix())
	}
	return append(append(o, ','), members...)
}

// resultOf names what became of a poll, for the metrics.
func resultOf(x *exchange, b *feed.Batch) string {
	switch {
	case x.Context.Err() != nil:
		return metrics.PollGone
	case b.Reset:
		return metrics.PollReset
	case !b.Complete:
		return metrics.PollPage
	case len(b.Names) > 0:
		return metrics.PollEnded
	}
	return metrics.PollIdle
}

// pollFailed says why nothing can be said of the feed. The reader logs that once, and not each of
// the many polls.
func (s *Server) pollFailed(x *exchange, err error) error {
	s.cfg.Metrics.Polled(metrics.PollUnavailable)
	x.quiet = true
	switch {
	case errors.Is(err, feed.ErrNotEnabled):
		return unavailable(nil, "feed_not_enabled", feed.ErrNotEnabled.Error())
	case errors.Is(err, feed.ErrBusy):
		return unavailable(nil, "feed_busy", feed.ErrBusy.Error()+"; try again")
	case errors.Is(err, feed.ErrSlow), errors.Is(err, feed.ErrClosed):
		return unavailable(err, "feed_unavailable", "the revocation feed cannot be read at this moment; try again")
	}
	return err
}
