package feed

import (
	"maps"
	"slices"
)

// window is the end of the stream as a Reader has read it, so that pollers who follow cost the
// store nothing. Ends have numbers; a position stands for how many ends lie before it.
type window struct {
	ends  []End
	first uint64              // the number of ends[0]
	at    map[Position]uint64 // the number of the end that comes next
}

// maxWindow is how many ends a window holds at most; beyond that the older half is forgotten.
const maxWindow = 8192

// firstNumber leaves place for ends that are learned later and lie before.
const firstNumber = 1 << 32

// begin forgets everything, and goes on behind a position.
func (w *window) begin(at Position) {
	*w = window{first: firstNumber, at: map[Position]uint64{at: firstNumber}}
}

// add takes what was read behind the window.
func (w *window) add(page *Page) {
	for _, e := range page.Ends {
		w.ends = append(w.ends, e)
		if e.At != "" {
			w.at[e.At] = w.end()
		}
	}
	w.at[page.At] = w.end()
	if len(w.ends) > maxWindow {
		w.forget(len(w.ends) - maxWindow/2)
	}
}

// learn notes a position from which a page was read that leads to a position of the window: the
// pages of other nodes end elsewhere. Ends before the window are added to it where there is place.
func (w *window) learn(after Position, page *Page) {
	next, known := w.at[page.At]
	n := uint64(len(page.Ends))
	if !known || page.Reset || n > next {
		return
	}
	if begin := next - n; begin < w.first {
		missing := page.Ends[:w.first-begin]
		if len(w.ends)+len(missing) > maxWindow {
			return
		}
		w.ends, w.first = slices.Concat(missing, w.ends), begin
		for i, e := range missing {
			if e.At != "" {
				w.at[e.At] = begin + uint64(i) + 1
			}
		}
	}
	w.at[after] = next - n
}

// forget drops the oldest n ends, and the positions before them.
func (w *window) forget(n int) {
	w.ends = append([]End(nil), w.ends[n:]...) // a copy: the dropped ones must not stay in memory
	w.first += uint64(n)                       // #nosec G115 -- a number of ends
	maps.DeleteFunc(w.at, func(_ Position, next uint64) bool { return next < w.first })
}

// end is the number of the end that comes next.
func (w *window) end() uint64 { return w.first + uint64(len(w.ends)) }

// since returns the ends from a number on.
func (w *window) since(next uint64) []End { return w.ends[next-w.first:] }
