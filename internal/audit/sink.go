package audit

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Sink is where the lines of the trail go. They wait in a bounded queue and are written many at a
// time, so that no request waits for them.
type Sink struct {
	queue  chan *[]byte
	spare  sync.Pool             // of *[]byte: lines that were written
	failed atomic.Pointer[error] // of a write, until write returns it with the next line
	last   atomic.Pointer[error] // of a write, for Err
	flush  func(lines [][]byte) error
	begun  sync.Once
	done   sync.WaitGroup

	strangers *Sink // for refusals of unauthenticated clients; nil: this sink
}

const (
	queueLength = 16_384
	batchLength = 256
	lineLength  = 384                  // most fit
	settle      = 5 * time.Millisecond // that a line may wait for others
)

// ErrFull: the sink does not take events as fast as they come.
var ErrFull = errors.New("the queue of audit events is full")

// newSink calls flush for what comes; lines end without a newline and are flush's for the call
// only.
func newSink(flush func(lines [][]byte) error) *Sink {
	s := &Sink{queue: make(chan *[]byte, queueLength), flush: flush}
	s.spare.New = func() any { line := make([]byte, 0, lineLength); return &line }
	return s
}

// RunIn lets start, such as a background.Group's Go, run what writes; it must have ended before
// Close. Without RunIn the first event starts a goroutine of the sink's own.
func (s *Sink) RunIn(start func(task string, run func(context.Context))) {
	s.begun.Do(func() { start("audit trail", s.run) })
	if s.strangers != nil {
		s.strangers.begun.Do(func() { start("audit trail: callers who proved nothing", s.strangers.run) })
	}
}

// of returns the sink that takes an event.
func (s *Sink) of(e *Event) *Sink {
	if e.Unauthenticated && s.strangers != nil {
		return s.strangers
	}
	return s
}

func (s *Sink) runAlone() { s.done.Go(func() { s.run(context.Background()) }) }

// NewWriter returns a sink of lines into w, for instance standard output or a file.
func NewWriter(w io.Writer) *Sink {
	var buf []byte
	return newSink(func(lines [][]byte) error {
		buf = buf[:0]
		for _, l := range lines {
			buf = append(append(buf, l...), '\n')
		}
		_, err := w.Write(buf)
		return err
	})
}

// write queues a line. It returns an error of an earlier write, if there is one.
func (s *Sink) write(line *[]byte) error {
	s.begun.Do(s.runAlone)
	var before error
	if err := s.failed.Swap(nil); err != nil {
		before = *err
	}
	select {
	case s.queue <- line:
		return before
	default:
		s.spare.Put(line)
		return errors.Join(before, ErrFull)
	}
}

// Err returns the latest error of a write; nil: none has failed. After Close it covers every event
// that was queued.
func (s *Sink) Err() error {
	if s.strangers != nil {
		if err := s.strangers.Err(); err != nil {
			return err
		}
	}
	if err := s.last.Load(); err != nil {
		return *err
	}
	return nil
}

// Close writes what waits and ends the sink. Record must not be called afterwards.
func (s *Sink) Close() {
	if s.strangers != nil {
		s.strangers.Close()
	}
	close(s.queue)
	s.done.Wait()
	s.run(context.Background())
}

// run writes what comes until ctx ends or the queue is closed and empty.
func (s *Sink) run(ctx context.Context) {
	batch, lines := make([][]byte, 0, batchLength), make([]*[]byte, 0, batchLength)
	for {
		var line *[]byte
		select {
		case <-ctx.Done():
			return
		case next, open := <-s.queue:
			if !open {
				return
			}
			line = next
		}
		batch, lines = append(batch[:0], *line), append(lines[:0], line)
		if len(s.queue) < batchLength {
			time.Sleep(settle) // more come with it: one write for all
		}
		for more := true; more && len(batch) < batchLength; {
			select {
			case next, open := <-s.queue:
				if more = open; open {
					batch, lines = append(batch, *next), append(lines, next)
				}
			default:
				more = false
			}
		}
		if err := s.flush(batch); err != nil {
			s.failed.Store(&err)
			s.last.Store(&err)
		}
		for _, l := range lines {
			s.spare.Put(l)
		}
	}
}
