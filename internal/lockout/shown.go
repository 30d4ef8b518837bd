package lockout

import "time"

// ShownBudget is a Budget in an answer of the admin API or of a command.
type ShownBudget struct {
	Network     string     `json:"network,omitempty"` // absent: all addresses that have no limit of their own
	Failures    int        `json:"failures"`
	Limit       int        `json:"limit"`
	LockedUntil *time.Time `json:"locked_until,omitempty"`
}

// Show returns b as answers have it.
func Show(b Budget) ShownBudget {
	s := ShownBudget{Network: b.Network, Failures: b.Failures, Limit: b.Limit}
	if b.Locked > 0 {
		until := time.Now().Add(b.Locked).UTC().Truncate(time.Second)
		s.LockedUntil = &until
	}
	return s
}
