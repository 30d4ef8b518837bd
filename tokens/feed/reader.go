package feed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Source is what a Reader asks of a Stream.
type Source interface {
	Read(ctx context.Context, after Position, most int) (*Page, error)
	Await(ctx context.Context, after Position) error
}

// Reader reads a Stream for a node: once for all pollers, and for the node's own copy of what ends
// change. It reads only while somebody asks, and for a while after.
type Reader struct {
	stream Source
	lease  time.Duration
	log    *slog.Logger

	asked atomic.Int64  // when somebody asked last: Unix time in ns
	polls atomic.Int64  // that wait
	kick  chan struct{} // wakes Run: somebody asks again, or needs a read soon

	mu      sync.Mutex
	window  window
	batches map[batchKey]*Batch // of the window as it is
	read    readState
	soon    bool          // somebody waits for a read
	next    chan struct{} // closed after the next read, also a failed one
	news    chan struct{} // closed when the window has changed
	applied chan struct{} // closed after the next turn of the views
	views   map[*View]struct{}

	closed bool // Run has ended

	holds   *holds
	older   *olderPages
	reads   atomic.Uint64
	failing bool // of Run alone
}

// readState is what the reads of a Reader found.
type readState struct {
	begun   time.Time // when the last read began that came to the end of the stream
	found   time.Time // when the last read began that found something
	at      Position  // that end
	enabled bool
	failed  time.Time // when the last read began that failed
	err     error     // of that
}

type batchKey struct {
	next  uint64
	reset bool
}

// Rules of when a Reader reads.
const (
	readsPerLease = 8                    // while nothing ends
	readApart     = 5 * time.Millisecond // at least, while names end, or somebody waits
	pollApart     = 200 * time.Microsecond
	linger        = 30 * time.Second // after the last who asked
)

// soonest is when the next read may begin, if somebody waits for it; begun is when the last one
// did. A read that finds something answers every poll. So the next one keeps a distance from it for
// each poll: a flood of ends must not take all of a node's CPU. The lock must be held.
func (r *Reader) soonest(begun time.Time) time.Time {
	apart := min(time.Duration(r.polls.Load())*pollApart, r.lease/readsPerLease)
	if next := r.read.found.Add(apart); next.After(begun.Add(readApart)) {
		return next
	}
	return begun.Add(readApart)
}

// NewReader returns a Reader that does nothing until it is asked; Run must run. lease is how long a
// verifier may trust an answer.
func NewReader(stream Source, lease time.Duration, log *slog.Logger) (*Reader, error) {
	older, err := newOlderPages()
	return &Reader{stream: stream, lease: lease, log: log, older: older, holds: newHolds(lease / holdSteps), kick: make(chan struct{}, 1),
		batches: map[batchKey]*Batch{}, views: map[*View]struct{}{},
		next: make(chan struct{}), news: make(chan struct{}), applied: make(chan struct{})}, err
}

// Lease is how long a verifier may trust an answer.
func (r *Reader) Lease() time.Duration { return r.lease }

// Run reads until ctx ends, while somebody asks.
func (r *Reader) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if r.wanted() {
			r.follow(ctx)
			continue
		}
		select {
		case <-ctx.Done():
		case <-r.kick:
		}
	}
	r.close()
}

// close ends polls, and all who wait.
func (r *Reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, c := range []*chan struct{}{&r.next, &r.news, &r.applied} {
		close(*c)
		*c = make(chan struct{})
	}
}

// want says that somebody asks.
func (r *Reader) want() {
	now := time.Now().UnixNano()
	if before := r.asked.Swap(now); time.Duration(now-before) > linger/2 {
		r.poke()
	}
}

func (r *Reader) wanted() bool {
	return time.Since(time.Unix(0, r.asked.Load())) < max(linger, 2*r.lease)
}

func (r *Reader) poke() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// hurry demands a read soon. The lock must be held.
func (r *Reader) hurry() {
	if !r.soon {
		r.soon = true
		r.poke()
	}
}

// follow reads while somebody asks.
func (r *Reader) follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(ctx) })
	defer watching.Wait()
	defer cancel()
	var begun time.Time
	for r.wanted() && r.pause(ctx, begun) {
		begun = time.Now()
		r.turn(context.WithoutCancel(ctx), begun)
	}
}

// watch demands a read when there may be something new.
func (r *Reader) watch(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		at, next := r.read.at, r.next
		r.mu.Unlock()
		if at != "" {
			if err := r.stream.Await(ctx, at); err == nil {
				r.mu.Lock()
				r.hurry()
				next = r.next
				r.mu.Unlock()
			}
		}
		select {
		case <-ctx.Done():
		case <-next:
		}
	}
}

// pause waits until it is time to read, and says whether to go on. A store that fails is not asked
// more often than an idle one.
func (r *Reader) pause(ctx context.Context, begun time.Time) bool {
	timer := time.NewTimer(time.Until(begun.Add(r.lease / readsPerLease)))
	defer timer.Stop()
	for {
		r.mu.Lock()
		soon, soonest := r.soon && r.read.err == nil, r.soonest(begun)
		r.mu.Unlock()
		if soon {
			timer.Reset(max(time.Until(soonest), 0))
		}
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-r.kick:
		}
	}
}

// turn reads to the end of the stream, tells those who wait, and then brings the views forward.
func (r *Reader) turn(ctx context.Context, begun time.Time) {
	r.reads.Add(1)
	err := r.readToEnd(ctx, begun)
	r.note(begun, err)
	r.tell(err)
	if err == nil {
		r.advance(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.applied)
	r.applied = make(chan struct{})
}
