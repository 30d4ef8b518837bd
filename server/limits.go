package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rateLimits bounds the requests of each authenticated client on this node. Only registered
// clients have an entry, so its size is theirs.
type rateLimits struct {
	perSecond int
	limiters  sync.Map // client id → *rate.Limiter
}

func newRateLimits(perSecond int) *rateLimits { return &rateLimits{perSecond: perSecond} }

// take counts one request and returns how long the client has to wait; 0: it may go on.
func (l *rateLimits) take(clientID string) time.Duration {
	if l.perSecond <= 0 {
		return 0
	}
	v, ok := l.limiters.Load(clientID)
	if !ok {
		v, _ = l.limiters.LoadOrStore(clientID, rate.NewLimiter(rate.Limit(l.perSecond), l.perSecond))
	}
	if v.(*rate.Limiter).Allow() {
		return 0
	}
	return time.Second
}
