package lockout

import (
	"slices"
	"sync"
)

// lines are the attempts of this node that wait for others to end, one line for each budget, first
// come first served. The zero value is empty.
type lines struct {
	mu sync.Mutex
	of map[Subject][]turn
}

// turn receives when its owner, the first in line, should ask the counter.
type turn chan struct{}

func (t turn) call() {
	select {
	case t <- struct{}{}:
	default: // called already
	}
}

// waiting says whether an attempt waits.
func (l *lines) waiting(s Subject) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.of[s]) > 0
}

// join takes the last place, unless limit others wait already.
func (l *lines) join(s Subject, limit int) (t turn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.of[s]) >= limit {
		return nil, false
	}
	if l.of == nil {
		l.of = map[Subject][]turn{}
	}
	t = make(turn, 1)
	if l.of[s] = append(l.of[s], t); len(l.of[s]) == 1 {
		t.call()
	}
	return t, true
}

// leave gives a place up. The next in line asks at once: more than one attempt may have ended.
func (l *lines) leave(s Subject, t turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.of[s], t)
	l.of[s] = slices.Delete(l.of[s], i, i+1)
	if len(l.of[s]) == 0 {
		delete(l.of, s)
	} else if i == 0 {
		l.of[s][0].call()
	}
}

// wake makes the first in line ask the counter: an attempt has ended.
func (l *lines) wake(s Subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line := l.of[s]; len(line) > 0 {
		line[0].call()
	}
}
