package middleware

import "time"

// moment is an instant by two clocks. The wall clock may be set; it goes on while the machine
// sleeps. The steady clock cannot be set; it may stand still meanwhile.
type moment struct {
	wall   time.Duration // since 1970
	steady time.Duration // since the follower was made
}

func (m moment) add(d time.Duration) moment { return moment{m.wall + d, m.steady + d} }

// time is the moment by the wall clock.
func (m moment) time() time.Time { return time.Unix(0, int64(m.wall)) }

// before says that m comes first by both clocks.
func (m moment) before(end moment) bool { return m.wall < end.wall && m.steady < end.steady }

// clockFrom returns a clock whose steady time begins now.
func clockFrom(start time.Time) func() moment {
	return func() moment {
		now := time.Now()
		return moment{time.Duration(now.UnixNano()), now.Sub(start)}
	}
}

// lease is until when a follower knows of every end. It counts from the sending of a poll: what
// the answer rests on was read after that.
type lease struct {
	sent  moment
	until moment
}
