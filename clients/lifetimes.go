package clients

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of lives.
const (
	minAccessTTL = time.Second
	maxAccessTTL = 24 * time.Hour
)

// checkLifetimes says what is wrong with a registration's lifetimes. most is the longest life of a log-in here.
func (c *Client) checkLifetimes(most time.Duration) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{Field: field, Err: fmt.Errorf(format, args...)})
	}
	if c.AccessTTL != 0 && (c.AccessTTL < minAccessTTL || c.AccessTTL > maxAccessTTL || c.AccessTTL%time.Second != 0) {
		bad("access_ttl", "must be whole seconds between 1s and 24h: a stolen access token works until it ends (RFC 9700 §2.2.1)")
	}
	for field, v := range map[string]time.Duration{"refresh_ttl": c.RefreshTTL, "refresh_max_ttl": c.MaxTTL} {
		if v != 0 && (v < time.Minute || v > most) {
			bad(field, "must be between 1m and %s, the longest life of a log-in on this server", Duration(most))
		}
	}
	if c.RefreshTTL != 0 && c.MaxTTL != 0 && c.RefreshTTL > c.MaxTTL {
		bad("refresh_ttl", "must not be longer than refresh_max_ttl")
	}
	if c.RetryWindow > 0 && c.AccessTTL > 0 && c.RetryWindow > c.AccessTTL/4 {
		bad("retry_window", "must be a quarter of access_ttl at most")
	}
	return errors.Join(errs...)
}
