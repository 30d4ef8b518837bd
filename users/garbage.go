package users

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// garbage keeps the memory of finished hashes from piling up. argon2 and scrypt take a fresh block
// of many MiB for each password and drop it; by its own rule the collector lets the heap double
// before it looks, which would make the bound slots × memory (docs/evidence/conformance.md S-17)
// twice as much. The blocks hold no pointers, so a collection costs what the rest of the heap
// costs: it is asked for when the blocks dropped since the last one come to a quarter of that.
type garbage struct {
	mu      sync.Mutex
	dropped uint64 // bytes of blocks since the last collection that was asked for
}

// collect makes room for a block of size bytes, if there is much to collect. Call it just before
// the block is taken.
func (g *garbage) collect(size uint64) {
	if size == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dropped == 0 || g.dropped < liveHeap()/4 {
		return
	}
	if size >= large {
		debug.FreeOSMemory()
	} else {
		runtime.GC()
	}
	g.dropped = 0
}

// large is the size in bytes from which a block goes back to the system and not only to the heap:
// one small object that settles in the hole of a block this large, about the runtime's own arena,
// makes the next block need a second hole. Paging it in again costs about 20 ms of a hash of 64
// MiB; our own hashes, of 19 MiB, are below it.
const large = 32 << 20

// drop notes that a block of size bytes is no longer used.
func (g *garbage) drop(size uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropped += size
}

// liveHeap returns how many bytes the last collection found in use.
func liveHeap() uint64 { return metric("/gc/heap/live:bytes") }

// metric reads one of the runtime's metrics.
func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
