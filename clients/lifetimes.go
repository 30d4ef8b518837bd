package clients

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of the lifetime of an access token.
const (
	minAccessTTL = time.Second
	maxAccessTTL = 24 * time.Hour
)

// checkLifetimes says what is wrong with a registration's lifetimes. longest is the longest session
// here.
func (c *Client) checkLifetimes(longest time.Duration) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{Field: field, Err: fmt.Errorf(format, args...)})
	}
	access, refresh, absolute := time.Duration(c.AccessTTL), time.Duration(c.RefreshTTL), time.Duration(c.MaxTTL)
	if access != 0 && (access < minAccessTTL || access > maxAccessTTL || access%time.Second != 0) {
		bad("access_ttl", "must be whole seconds between 1s and 24h: a stolen access token works until it ends (RFC 9700 §2.2.1)")
	}
	for field, v := range map[string]time.Duration{"refresh_ttl": refresh, "refresh_max_ttl": absolute} {
		if v != 0 && (v < time.Minute || v > longest) {
			bad(field, "must be between 1m and %s, the longest life of a session on this server", Duration(longest))
		}
	}
	if refresh != 0 && absolute != 0 && refresh > absolute {
		bad("refresh_ttl", "must not be longer than refresh_max_ttl")
	}
	if c.RetryWindow > 0 && access > 0 && c.RetryWindow > access/4 {
		bad("retry_window", "must be a quarter of access_ttl at most")
	}
	return errors.Join(errs...)
}
