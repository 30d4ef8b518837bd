package audit

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
)

// Filter chooses events: those that have each value that is not "".
type Filter struct{ Event, Client, Subject, Reason, Actor string }

func (f Filter) chooses(e *Event) bool {
	fits := func(want, is string) bool { return want == "" || want == is }
	return fits(f.Event, e.Event) && fits(f.Client, e.Client) && fits(f.Subject, e.Subject) &&
		fits(f.Reason, e.Reason) && fits(f.Actor, e.Actor)
}

// Reader reads the trail back, for people.
type Reader interface {
	// Latest returns events that f chooses, the newest first, and the cursor of older ones: ""
	// begins, and "" is the end. It looks at some thousand events, so a page may be empty and not
	// the last.
	Latest(ctx context.Context, f Filter, cursor string, most int) (list []Event, next string, err error)
}

// recentEvents is how many events Recent keeps: some 2 MB.
const recentEvents = 5000

// Recent keeps the latest events of this node.
type Recent struct {
	mu    sync.Mutex
	lines [][]byte // the event of number n is at n % recentEvents
	count uint64   // of all that came
}

// Keep has a sink show what it writes to r too. It must be called before the first event.
func (s *Sink) Keep(r *Recent) {
	flush := s.flush
	s.flush = func(lines [][]byte) error {
		r.add(lines)
		return flush(lines)
	}
}

func (r *Recent) add(lines [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range lines {
		if len(r.lines) < recentEvents {
			r.lines = append(r.lines, append([]byte(nil), l...))
		} else {
			at := r.count % recentEvents
			r.lines[at] = append(r.lines[at][:0], l...)
		}
		r.count++
	}
}

// Latest implements Reader.
func (r *Recent) Latest(_ context.Context, f Filter, cursor string, most int) (list []Event, next string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, oldest := r.count, r.count-uint64(len(r.lines))
	if n, err := strconv.ParseUint(cursor, 10, 64); err == nil && n < at {
		at = n
	}
	for at > oldest && len(list) < most {
		at--
		if e, ok := readLine(r.lines[at%recentEvents]); ok && f.chooses(&e) {
			list = append(list, e)
		}
	}
	if at <= oldest {
		return list, "", nil
	}
	return list, strconv.FormatUint(at, 10), nil
}

// readLine reads what line wrote.
func readLine(text []byte) (e Event, ok bool) {
	err := json.Unmarshal(text, &e)
	return e, err == nil
}
