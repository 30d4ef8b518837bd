package feed

import "time"

// ReaderStats are counts of a Reader since its start.
type ReaderStats struct {
	Reads, OlderReads uint64        // of the end of the stream, and of older pages
	Entries           int           // that are in memory
	Age               time.Duration // of the last read that succeeded; 0: nobody follows
	Failing           bool          // somebody follows, and the last read failed, or the feed is not enabled
}

// Stats returns the counts.
func (r *Reader) Stats() ReaderStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := ReaderStats{Reads: r.reads.Load(), OlderReads: r.older.reads.Load(), Entries: len(r.window.ends)}
	if r.wanted() {
		s.Failing = r.read.err != nil
		if !r.read.begun.IsZero() {
			s.Age = time.Since(r.read.begun)
			s.Failing = s.Failing || !r.read.enabled
		}
	}
	return s
}
