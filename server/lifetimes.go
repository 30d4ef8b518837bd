package server

import (
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// epochTTL is longer than any session lasts.
func (s *Server) epochTTL() time.Duration { return s.cfg.MaxSessionTTL + 24*time.Hour }

func (s *Server) idleTTL(c *clients.Client) time.Duration {
	if c.RefreshTTL > 0 {
		return time.Duration(c.RefreshTTL)
	}
	return s.cfg.RefreshTTL
}

func (s *Server) maxTTL(c *clients.Client) time.Duration {
	if c.MaxTTL > 0 {
		return time.Duration(c.MaxTTL)
	}
	return s.cfg.RefreshMaxTTL
}

func (s *Server) accessTTL(c *clients.Client) time.Duration {
	if c.AccessTTL > 0 {
		return time.Duration(c.AccessTTL)
	}
	return s.cfg.AccessTTL
}

// retryWindow is never more than a quarter of the access token's lifetime.
func (s *Server) retryWindow(c *clients.Client) time.Duration {
	window := c.RetryWindow
	if window == 0 {
		window = s.cfg.RetryWindow
	}
	switch {
	case window < 0:
		return 0
	case window == 0:
		window = 30 * time.Second
	}
	return min(window, s.accessTTL(c)/4)
}

// endOf is the second in which a session expires unused.
func (s *Server) endOf(f *tokens.Session, c *clients.Client) time.Time {
	ends := f.LastUsed.Add(s.idleTTL(c))
	if f.Expires.Before(ends) {
		ends = f.Expires
	}
	return ends.Truncate(time.Second)
}
