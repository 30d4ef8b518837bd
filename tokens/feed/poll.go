package feed

import (
	"context"
	"errors"
	"time"
)

// poll is somebody who asks what ended behind a position.
type poll struct {
	after Position
	reset bool      // the position that was asked from is gone, and after is ""
	since time.Time // the answer rests on a read that began later
	over  bool      // it was held for long enough
}

// lose begins anew at the first entry.
func (p *poll) lose() { p.after, p.reset = "", true }

// ErrSlow: no read came to its end while a poll waited.
var ErrSlow = errors.New("the store did not answer a read of the revocation feed in time")

// ErrClosed: the node stops.
var ErrClosed = errors.New("this node stops reading the revocation feed")

// Poll returns what ended behind after. It returns at once if that is something, and else after
// hold, when ctx ends or when release is closed. A complete batch rests on a read that began after
// the call. An error means that nothing can be said.
func (r *Reader) Poll(ctx context.Context, after Position, hold time.Duration, release <-chan struct{}) (*Batch, error) {
	p := &poll{after: after, since: time.Now()}
	if _, gone := r.older.gone.Get(after); gone {
		p.lose()
	}
	r.want()
	r.polls.Add(1)
	defer r.polls.Add(-1)
	over := r.holds.end(p.since.Add(hold))
	for {
		b, changed, err := r.answer(ctx, p)
		switch {
		case b != nil || err != nil:
			return b, err
		case changed == nil:
			continue
		}
		select {
		case <-changed:
		case <-over:
			if p.over {
				return nil, ErrSlow
			}
			p.over = true
			over = r.holds.end(time.Now().Add(r.lease / 4))
		case <-release:
			return r.released(p)
		case <-ctx.Done():
			return r.released(p)
		}
	}
}

// answer returns the answer to a poll, or what to wait for; nothing: it may ask again now.
func (r *Reader) answer(ctx context.Context, p *poll) (*Batch, <-chan struct{}, error) {
	b, changed, older, err := r.fromWindow(p)
	if older {
		b, err = r.readOlder(ctx, p)
	}
	return b, changed, err
}

// fromWindow answers a poll from the window. older: the position is not there.
func (r *Reader) fromWindow(p *poll) (b *Batch, changed <-chan struct{}, older bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, false, ErrClosed
	}
	next, known := r.window.at[p.after]
	anything := !known || p.reset || p.after != r.read.at
	switch causal := r.read.begun.After(p.since); {
	case causal && !r.read.enabled:
		return nil, nil, false, ErrNotEnabled
	case causal && !known:
		return nil, nil, true, nil
	case causal && (anything || p.over):
		return r.batch(next, p.reset), nil, false, nil
	case causal:
		return nil, r.news, false, nil
	case p.over && !r.read.failed.Before(p.since):
		return nil, nil, false, r.read.err
	case anything || p.over:
		r.hurry()
		return nil, r.next, false, nil
	}
	return nil, r.news, false, nil
}

// batch returns the answer from a number on, which all who ask from there share.
func (r *Reader) batch(next uint64, reset bool) *Batch {
	key := batchKey{next, reset}
	b := r.batches[key]
	if b == nil {
		b = newBatch(r.window.since(next), r.read.at, true, reset)
		r.batches[key] = b
	}
	return b
}

// released answers a poll that ends before its time. Where no read began after it came, the answer
// renews nothing.
func (r *Reader) released(p *poll) (*Batch, error) {
	p.over = true
	if b, _, _, err := r.fromWindow(p); b != nil || err != nil {
		return b, err
	}
	return newBatch(nil, p.after, false, p.reset), nil
}

// knows says whether the window has a position.
func (r *Reader) knows(at Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.window.at[at]
	return known
}
