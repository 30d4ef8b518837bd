package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// stopper ends a server by signals. An interrupt from the keyboard does not wait for load
// balancers, and neither does a second signal.
type stopper struct {
	ctx     context.Context // ends at the first signal
	cancel  context.CancelFunc
	hurry   chan struct{} // closed: do not wait for load balancers
	told    func()        // called at the first signal; nil: nobody is
	log     *slog.Logger
	signals chan os.Signal
}

func newStopper(log *slog.Logger) *stopper {
	s := &stopper{hurry: make(chan struct{}), log: log, signals: make(chan os.Signal, 2)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// listen begins to heed signals. Until then they kill: there is nothing to drain.
func (s *stopper) listen() {
	signal.Notify(s.signals, syscall.SIGTERM, syscall.SIGINT)
	go s.await()
}

func (s *stopper) await() {
	first, ok := <-s.signals
	if !ok {
		return
	}
	s.log.Info("stopping", "signal", first.String())
	if s.told != nil {
		s.told()
	}
	s.cancel()
	if first == syscall.SIGTERM {
		<-s.signals
	}
	close(s.hurry)
}

func (s *stopper) close() {
	signal.Stop(s.signals)
	close(s.signals)
	s.cancel()
}
