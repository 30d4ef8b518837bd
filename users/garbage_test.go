package users

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// resident returns the bytes of heap that the process holds.
func resident() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapSys) - int64(m.HeapReleased)
}

func TestMemoryIsBounded(t *testing.T) {
	hash := ownForm()
	hash.memoryKiB, hash.time = 64<<10, 1
	slots := NewSlots(1)
	debug.FreeOSMemory()
	before := resident()
	for range 8 {
		_, err := slots.match(t.Context(), hash, "x")
		require.NoError(t, err)
		require.Less(t, resident()-before, int64(64<<20*12/10+8<<20), "S-17 one block for one slot, not two")
	}
}
