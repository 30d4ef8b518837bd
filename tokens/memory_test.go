package tokens

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryKeepsNoRequest(t *testing.T) {
	t.Run("a record holds its scope, and not the request that it was a part of", func(t *testing.T) {
		m := NewMemory(0)
		defer func() { _ = m.Close() }()
		codec := NewCodec(m.key)
		heap := func() uint64 {
			var s runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&s)
			return s.HeapAlloc
		}
		before := heap()
		for range 100 {
			request := strings.Repeat("x", 64<<10) + "orders:read"
			_, access := codec.NewClientAccess()
			require.NoError(t, m.Issue(t.Context(), access, &Record{Scope: request[64<<10:], IssuedAt: time.Now(), TTL: time.Hour}))
		}
		require.Less(t, heap(), before+(2<<20)) // the requests were 6.4 MB
		require.Equal(t, 100, m.Len())
	})
}
