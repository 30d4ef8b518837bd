package feed

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// olderPages reads for those who ask from before the window: verifiers that start, or were away.
// Many of them come at once, and ask for the same pages.
type olderPages struct {
	places chan struct{} // taken by who reads
	reads  atomic.Uint64
	full   *lru.Cache[pageKey, olderPage] // pages that others follow
	gone   *lru.Cache[Position, struct{}] // positions that are no longer in the stream
}

type pageKey struct {
	after Position
	reset bool
}

type olderPage struct {
	batch *Batch
	until time.Time
}

const (
	olderPlaces = 4
	olderFull   = 32               // pages: some 5 MB at most
	olderKept   = 10 * time.Second // a page: its end leaves the stream a day later
	olderGone   = 4096
)

// ErrBusy: too many verifiers read older pages.
var ErrBusy = errors.New("too many verifiers read older pages of the revocation feed at this moment")

func newOlderPages() (o *olderPages, err error) {
	o = &olderPages{places: make(chan struct{}, olderPlaces)}
	if o.full, err = lru.New[pageKey, olderPage](olderFull); err != nil {
		return o, err
	}
	o.gone, err = lru.New[Position, struct{}](olderGone)
	return o, err
}

// find returns a page that was read before. Only the end of the stream must be read anew.
func (o *olderPages) find(key pageKey) *Batch {
	if p, ok := o.full.Get(key); ok && time.Now().Before(p.until) {
		return p.batch
	}
	return nil
}

// enter waits for a place.
func (o *olderPages) enter(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case o.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ErrBusy
	}
}

func (o *olderPages) leave() { <-o.places }

// readOlder returns the page behind a position that the window does not know. Nil without an error:
// ask the window again.
func (r *Reader) readOlder(ctx context.Context, p *poll) (*Batch, error) {
	p.after = Position(strings.Clone(string(p.after))) // a part of a request, which would stay in memory with it
	key := pageKey{p.after, p.reset}
	if b := r.older.find(key); b != nil {
		return b, nil
	}
	switch err := r.older.enter(ctx, r.lease/4); {
	case err != nil && ctx.Err() != nil:
		return r.released(p)
	case err != nil:
		return nil, err
	}
	defer r.older.leave()
	if b := r.older.find(key); b != nil || r.knows(p.after) { // by somebody who was here before
		return b, nil
	}
	r.older.reads.Add(1)
	page, err := r.stream.Read(context.WithoutCancel(ctx), p.after, maxPageEnds)
	switch {
	case err != nil:
		return nil, err
	case !page.Enabled:
		return nil, ErrNotEnabled
	}
	return r.takeOlder(p, page), nil
}

// takeOlder remembers what a page teaches, and returns what it answers.
func (r *Reader) takeOlder(p *poll, page *Page) *Batch {
	r.mu.Lock()
	r.window.learn(p.after, page)
	r.mu.Unlock()
	switch {
	case page.Reset: // its nonce is gone, and so is the position, for good
		r.older.gone.Add(p.after, struct{}{})
		r.older.full.Purge() // pages may lead to positions that are gone
		p.lose()
		return nil
	case !page.More && len(page.Ends) == 0 && !p.reset:
		p.since = time.Now() // the window does not go so far yet: it must be read again
		return nil
	}
	b := newBatch(page.Ends, page.At, !page.More, p.reset)
	if !b.Complete {
		r.older.full.Add(pageKey{p.after, p.reset}, olderPage{b, time.Now().Add(olderKept)})
	}
	return b
}
