package middleware

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// newOffline is an issuer that has a URL and nothing else.
func newOffline() *httptest.Server { return &httptest.Server{URL: "https://as.example.com"} }

// all is what a cache holds.
func (b *bounded[V]) all() map[cacheKey]boundedEntry[V] {
	found := map[cacheKey]boundedEntry[V]{}
	for i := range b.shards {
		maps.Copy(found, b.shards[i].entries)
	}
	return found
}

// slowNetwork says after a second that every token is active.
type slowNetwork struct{ asked atomic.Int32 }

func (n *slowNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.asked.Add(1)
	time.Sleep(time.Second)
	body := fmt.Sprintf(`{"active":true,"token_type":"Bearer","client_id":"app","exp":%d}`, time.Now().Unix()+600)
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
