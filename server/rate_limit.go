package server

import (
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/ratelimit"
)

// limitRate counts a request of a client that proved itself against its limit. It is refused
// otherwise than by the lockout of wrong credentials: the client is known, and nothing was guessed.
func (s *Server) limitRate(x *exchange, c *clients.Client) error {
	wait := s.takeRequest(x, c)
	if wait == 0 {
		return nil
	}
	return &Error{Code: codeUnavailable, Status: http.StatusTooManyRequests, RetryAfter: wait,
		Reason:      "requests_per_second",
		Description: "this client asks more often than it may; wait as long as Retry-After says"}
}

// takeRequest returns how long the client has to wait; 0: the request may go on. A client with a
// limit of its own has it on all nodes together, others the configuration's on each node. A public
// client has its limit at each address: anybody can ask in its name, and uses up their own alone.
func (s *Server) takeRequest(x *exchange, c *clients.Client) time.Duration {
	limit, own := ratelimit.Limit{PerSecond: s.cfg.RequestsPerSecond}, c.RequestsPerSecond != 0
	if own {
		limit = ratelimit.Limit{PerSecond: c.RequestsPerSecond, Burst: c.RequestsBurst}
	}
	switch {
	case limit.PerSecond <= 0:
		return 0
	case c.Public():
		return s.cfg.Rates.TakeStranger(c.ID+"\x00"+x.network(), limit)
	case own:
		return s.cfg.Rates.TakeShared(c.ID, limit)
	}
	return s.cfg.Rates.Take(c.ID, limit)
}
