package clients

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Duration is a duration that is written as people write it: Go's form ("15m", "1h30m") or whole
// days ("30d").
type Duration time.Duration

// mostDays bounds what is written in days.
const maxDays = 36500

// ParseDuration reads what Duration.String writes.
func ParseDuration(text string) (Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < maxDays {
			return Duration(n) * Duration(24*time.Hour), nil
		}
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New(`must be a duration such as "15m", "1h30m" or "30d"`)
	}
	return Duration(v), nil
}

// String writes 15m0s as 15m, and whole days as days.
func (l Duration) String() string {
	d := time.Duration(l)
	if d > 0 && d%(24*time.Hour) == 0 && d < maxDays*24*time.Hour {
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
func (l Duration) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is ParseDuration.
func (l *Duration) UnmarshalText(text []byte) (err error) {
	*l, err = ParseDuration(string(text))
	return err
}
