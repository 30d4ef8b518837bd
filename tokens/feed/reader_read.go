package feed

import (
	"context"
	"time"
)

// readToEnd reads what is new. begun is when it began.
func (r *Reader) readToEnd(ctx context.Context, begun time.Time) error {
	for {
		r.mu.Lock()
		at := r.read.at
		r.mu.Unlock()
		page, err := r.stream.Read(ctx, at, maxPageEnds)
		if err != nil {
			return err
		}
		anew, from := page.Reset || at == "", Position("")
		if anew && page.More { // a long stream: older pages are read for those who ask for them
			if page, err = r.stream.Read(ctx, Last, maxPageEnds); err != nil {
				return err
			}
			page.Ends, from = nil, page.At
		}
		r.take(page, begun, anew, from)
		if !page.More {
			return nil
		}
	}
}

// take adds a page to the window, and wakes those who wait for news. anew: the window begins at
// from, and what it held is forgotten.
func (r *Reader) take(page *Page, begun time.Time, anew bool, from Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if anew {
		r.window.begin(from)
		r.older.full.Purge() // pages may lead to positions that are gone
	}
	r.window.add(page)
	r.read.at = page.At
	for v := range r.views {
		v.note(page.Ends, anew)
	}
	if !page.More {
		r.read.begun, r.read.enabled = begun, page.Enabled
	}
	if len(page.Ends) > 0 || anew {
		r.read.found = begun
		clear(r.batches)
		close(r.news)
		r.news = make(chan struct{})
	}
}

// note keeps how a read ended, and wakes those who wait for it.
func (r *Reader) note(begun time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.soon, r.read.err = false, err
	if err != nil {
		r.read.failed = begun
	}
	close(r.next)
	r.next = make(chan struct{})
}

// tell logs when reads begin to fail, and when they succeed again: not each.
func (r *Reader) tell(err error) {
	switch {
	case err != nil && !r.failing:
		r.log.Error("the revocation feed cannot be read; it answers 503", "error", err.Error())
	case err == nil && r.failing:
		r.log.Info("the revocation feed is read again")
	}
	r.failing = err != nil
}
