package feed

import "github.com/grantor-auth/grantor/internal/jsonobject"

// Batch is the answer to everybody who asked from one position. It must not be changed.
type Batch struct {
	At       Position // where to ask from next
	Names    []string // that ended
	Complete bool     // there was no more when it was read, and it was read after the poll came
	Reset    bool     // the position asked from is unknown: this begins at the first entry
	text     []byte
}

// Most of a page: an answer stays well below 256 kB, which any HTTP client reads.
const (
	maxPageEnds  = 4096
	maxPageBytes = 160 << 10 // of names
)

// newBatch makes the batch of the first ends of a list that fit one answer. at is the position
// behind them all.
func newBatch(ends []End, at Position, complete, reset bool) *Batch {
	b := &Batch{At: at, Complete: complete, Reset: reset}
	size := 0
	for i, e := range ends {
		if i > 0 && ends[i-1].At != "" && (size > maxPageBytes || i >= maxPageEnds) {
			b.At, b.Complete = ends[i-1].At, false
			break
		}
		for _, name := range e.Names {
			b.Names = append(b.Names, name)
			size += len(name) + len(`"",`)
		}
	}
	b.text = b.encode(size)
	return b
}

// encode writes the members of an answer that are alike for all, once.
func (b *Batch) encode(size int) []byte {
	o := make(jsonobject.Object, 0, size+128).Text("position", string(b.At)).Truth("complete", b.Complete)
	if b.Reset {
		o = o.Truth("reset", true)
	}
	o = append(o.Name("ended"), '[')
	for i, name := range b.Names {
		if i > 0 {
			o = append(o, ',')
		}
		o = jsonobject.AppendText(o, name)
	}
	return append(o, ']', '}')[1:]
}

// Members returns the batch as members of a JSON object, and the end of that object:
// `"position":"…","complete":true,"ended":[…]}`.
func (b *Batch) Members() []byte { return b.text }
