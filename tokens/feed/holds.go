package feed

import (
	"sync"
	"time"
)

// holds ends the holds of many polls together: a timer, a wake-up and a write to the network for
// each alone would cost a node twice as much.
type holds struct {
	step time.Duration
	zero time.Time

	mu   sync.Mutex
	ends map[int64]chan struct{} // by the number of steps since zero
}

// holdSteps is in how many steps of a lease holds end.
const holdSteps = 32

func newHolds(step time.Duration) *holds {
	return &holds{step: step, zero: time.Now(), ends: map[int64]chan struct{}{}}
}

// end returns what is closed at the last step before a time; at the first one that comes, if that
// is later.
func (h *holds) end(at time.Time) <-chan struct{} {
	now := time.Since(h.zero)
	n := max(int64(at.Sub(h.zero)/h.step), int64(now/h.step)+1)
	h.mu.Lock()
	defer h.mu.Unlock()
	c, known := h.ends[n]
	if !known {
		c = make(chan struct{})
		h.ends[n] = c
		time.AfterFunc(time.Duration(n)*h.step-now, func() { h.close(n) })
	}
	return c
}

func (h *holds) close(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.ends[n])
	delete(h.ends, n)
}
