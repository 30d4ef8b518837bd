package clients

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Life is a duration that is written as people write it: Go's form ("15m", "1h30m") or whole days ("30d").
type Life time.Duration

// mostDays bounds what is written in days.
const mostDays = 36500

// ParseLife reads what Life.String writes.
func ParseLife(text string) (Life, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < mostDays {
			return Life(n) * Life(24*time.Hour), nil
		}
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New(`must be a duration such as "15m", "1h30m" or "30d"`)
	}
	return Life(v), nil
}

// String writes 15m0s as 15m, and whole days as days.
func (l Life) String() string {
	d := time.Duration(l)
	if d > 0 && d%(24*time.Hour) == 0 && d < mostDays*24*time.Hour {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText is String.
func (l Life) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is ParseLife.
func (l *Life) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLife(string(text))
	return err
}
