package gate

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/middleware"
)

// readiness asks whether tokens can be verified, at most once a second.
type readiness struct {
	ask func(context.Context) error

	mu    sync.Mutex
	asked time.Time
	err   error
}

const readyFor = time.Second

func (r *readiness) check(ctx context.Context) error {
	if r.ask == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) >= readyFor {
		r.err, r.asked = r.ask(ctx), time.Now()
	}
	return r.err
}

// readyz answers 503 while tokens cannot be verified, and before the end.
func (g *Gate) readyz(w http.ResponseWriter, r *http.Request) {
	switch err := g.ready.check(context.WithoutCancel(r.Context())); {
	case g.drained.Load():
		refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable", "the gate stops")
	case err != nil:
		g.cfg.Log.Warn("not ready", "error", err.Error())
		refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable",
			"tokens cannot be verified; the log of the gate says why")
	default:
		say(w, http.StatusOK, statusOK)
	}
}

// Reaches asks the issuer about a text that is no token: so the way there and the gate's own
// credentials are known to be good.
func Reaches(v middleware.Verifier) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := v.Verify(ctx, "probe"); !errors.Is(err, middleware.ErrInvalidToken) {
			return cmp.Or(err, errors.New("the issuer takes any text for a token"))
		}
		return nil
	}
}
