package clients

import (
	"context"
	"log/slog"
	"time"
)

// poll asks a source again and again.
type poll struct {
	every             time.Duration
	ask               func(context.Context) error
	failed, recovered string // what the log says when errors begin, and when they end
}

// run asks until ctx ends; the end interrupts no question. An error is logged when it begins, not
// at every turn.
func (p poll) run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := p.ask(context.WithoutCancel(ctx))
		if err != nil && !failing {
			log.Error(p.failed, "error", err.Error())
		}
		if err == nil && failing {
			log.Info(p.recovered)
		}
		failing = err != nil
	}
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
