package server

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/grantor-auth/grantor/clients"
)

// rateLimits bounds the requests of each authenticated client on this node. A client with a secret
// has one limit. A public client has one at each address: anybody can ask in its name, and uses up
// their own limit alone.
type rateLimits struct {
	perSecond int
	limiters  sync.Map                          // client id → *rate.Limiter: as many as there are registered clients
	public    *lru.Cache[string, *rate.Limiter] // by client id and network
}

// maxPublicLimits is how many addresses of public clients are remembered. A forgotten address
// begins anew.
const maxPublicLimits = 1 << 14

func newRateLimits(perSecond int) (*rateLimits, error) {
	public, err := lru.New[string, *rate.Limiter](maxPublicLimits)
	return &rateLimits{perSecond: perSecond, public: public}, err
}

// take counts one request and returns how long the client has to wait; 0: it may go on.
func (l *rateLimits) take(c *clients.Client, x *exchange) time.Duration {
	if l.perSecond <= 0 || l.of(c, x).Allow() {
		return 0
	}
	return time.Second
}

func (l *rateLimits) of(c *clients.Client, x *exchange) *rate.Limiter {
	if c.Public() {
		key := c.ID + "\x00" + x.network()
		if found, ok := l.public.Get(key); ok {
			return found
		}
		fresh := rate.NewLimiter(rate.Limit(l.perSecond), l.perSecond)
		if found, ok, _ := l.public.PeekOrAdd(key, fresh); ok {
			return found
		}
		return fresh
	}
	v, ok := l.limiters.Load(c.ID)
	if !ok {
		v, _ = l.limiters.LoadOrStore(c.ID, rate.NewLimiter(rate.Limit(l.perSecond), l.perSecond))
	}
	return v.(*rate.Limiter)
}
