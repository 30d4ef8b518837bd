package tokens

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/tokens/feed"
)

// clientEpoch is what Redis holds of a client of a configuration: its epoch, the last changes of
// it, so that a repeated change changes nothing, and the digest of its registration with its
// edition. All of that is one value: an epoch and an edition that were read together stood
// together.
//
// Versions before editions read epoch and changes, and write nothing behind them. Then the client
// has no edition, until a node gives it one.
type clientEpoch struct {
	feed.Standing
	changes []Epoch // the newest first
}

// epochChanges is how many changes of a client's epoch a store remembers.
const epochChanges = 4

const (
	epochSize = len(Epoch{})
	atDigest  = epochSize * (1 + epochChanges)
	atEdition = atDigest + len(feed.Standing{}.Digest)
	epochEnd  = atEdition + epochSize
)

func parseClientEpoch(value []byte) (e clientEpoch, err error) {
	if len(value) < epochSize || len(value) > atDigest && len(value) < epochEnd {
		return e, fmt.Errorf("%w: a client epoch of %d bytes", ErrRecord, len(value))
	}
	copy(e.Epoch[:], value)
	for part := range slices.Chunk(value[epochSize:min(len(value), atDigest)], epochSize) {
		if change := (Epoch)(append(part[:len(part):len(part)], make([]byte, epochSize)...)); change != (Epoch{}) {
			e.changes = append(e.changes, change)
		}
	}
	if len(value) >= epochEnd {
		copy(e.Digest[:], value[atDigest:])
		copy(e.Edition[:], value[atEdition:])
	}
	return e, nil
}

// value is what parseClientEpoch reads.
func (e *clientEpoch) value() []byte {
	value := bytes.Clone(e.Epoch[:])
	for _, change := range e.changes {
		value = append(value, change[:]...)
	}
	if e.Edition == (Epoch{}) {
		return value
	}
	value = append(value, make([]byte, atDigest-len(value))...)
	return append(append(value, e.Digest[:]...), e.Edition[:]...)
}

// name is the client's in the feed; "": it has no tokens, because it is disabled.
func (e *clientEpoch) name() string {
	if e.Epoch == (Epoch{}) {
		return ""
	}
	return feed.Client(e.Epoch, e.Edition)
}

// epochChange says what a change makes of an epoch, and whether it applies to it.
type epochChange func(held, change Epoch) (next Epoch, applies bool)

func disableEpoch(_, _ Epoch) (Epoch, bool)        { return Epoch{}, true }
func enableEpoch(held, change Epoch) (Epoch, bool) { return change, held == Epoch{} }
func renewEpoch(held, change Epoch) (Epoch, bool)  { return change, held != Epoch{} }

// apply makes a change, unless it is among the last ones. It reports whether there is a new value.
func (e *clientEpoch) apply(how epochChange, change Epoch) bool {
	next, applies := how(e.Epoch, change)
	if !applies || slices.Contains(e.changes, change) {
		return false
	}
	e.Epoch = next
	e.changes = append([]Epoch{change}, e.changes[:min(len(e.changes), epochChanges-1)]...)
	return true
}
