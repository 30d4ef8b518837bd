package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// asker asks two nodes over connections of its own.
type asker struct {
	nodes  []*process
	id     string
	secret string
	client *http.Client

	mu     sync.Mutex
	passed []time.Time // when each answer of 200 came
	other  map[int]int // answers by status
	waits  []string    // values of Retry-After of 429
}

func (a *asker) ask(t *testing.T, node int) int {
	form := credentials("orders:read").Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.nodes[node].URL+"/oauth2/token", strings.NewReader(form))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(a.id, a.secret)
	res, err := a.client.Do(req)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.other[0]++
		return 0
	}
	_ = res.Body.Close()
	a.other[res.StatusCode]++
	switch res.StatusCode {
	case http.StatusOK:
		a.passed = append(a.passed, time.Now())
	case http.StatusTooManyRequests:
		a.waits = append(a.waits, res.Header.Get("Retry-After"))
	}
	return res.StatusCode
}

// flood asks over so many connections, as fast as the nodes answer.
func (a *asker) flood(t *testing.T, connections int, length time.Duration) {
	var all sync.WaitGroup
	for i, until := 0, time.Now().Add(length); i < connections; i++ {
		all.Go(func() {
			for time.Now().Before(until) {
				a.ask(t, i%len(a.nodes))
			}
		})
	}
	all.Wait()
}

// worst is by how many requests any stretch of time exceeds the rate.
func (a *asker) worst(rate float64) float64 {
	slices.SortFunc(a.passed, time.Time.Compare)
	worst, least := 0.0, 0.0
	for i, at := range a.passed {
		over := float64(i) - rate*at.Sub(a.passed[0]).Seconds()
		least = min(least, over)
		worst = max(worst, over+1-least)
	}
	return worst
}

// TestRateLimitOverTwoNodes plays the promises of docs/operate/limits.md.
// GRANTOR_TEST_RATE_MINUTE=1 makes the client that keeps to its limit ask for a minute.
func TestRateLimitOverTwoNodes(t *testing.T) {
	const rate, burst = 100, 50
	d := operated(t, redistest.Start(t), "")
	nodes := []*process{d.serve(t), run(t, built(t, module), nil, "serve", "--config", d.config, "--listen", "127.0.0.1:0")}
	asking := func(id string, more ...string) *asker {
		a := &asker{nodes: nodes, id: id, other: map[int]int{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
		a.secret = d.client(t, id, "orders:read", more...)
		return a
	}
	limit := []string{"--requests-per-second", fmt.Sprint(rate), "--requests-burst", fmt.Sprint(burst)}
	t.Run("64 connections: the bound over both nodes holds", func(t *testing.T) {
		a := asking("greedy", limit...)
		begun := time.Now()
		a.flood(t, 64, 6*time.Second)
		seconds := time.Since(begun).Seconds()
		worst := a.worst(rate)
		t.Logf("%d of %d requests passed in %.1f s; %.0f above the rate in the worst stretch; 429: %d, Retry-After %q",
			len(a.passed), len(a.passed)+a.other[429], seconds, worst, a.other[429], slices.Compact(slices.Sorted(slices.Values(a.waits))))
		require.LessOrEqual(t, worst, float64(len(nodes)*(burst+rate)))
		require.LessOrEqual(t, float64(len(a.passed)), rate*seconds+float64(len(nodes)*(burst+rate)))
		require.Greater(t, float64(len(a.passed)), rate*seconds*.7, "what is asked for is used")
		require.Positive(t, a.other[429])
		require.Len(t, a.other, 2, "200 and 429 alone: %v", a.other)
		for _, p := range nodes {
			require.Contains(t, p.scrape(), "grantor_request_rates_shared 1")
		}
	})
	t.Run("a client inside its limit is never refused, whichever node it asks", func(t *testing.T) {
		a, length := asking("steady", limit...), 4*time.Second
		if os.Getenv("GRANTOR_TEST_RATE_MINUTE") != "" {
			length = time.Minute
		}
		own, last := float64(burst), time.Now()
		for begun, i := time.Now(), 0; time.Since(begun) < length; i++ {
			for own < 10 { // the client's own bucket: ten at once go to one node
				time.Sleep(time.Second / rate)
				now := time.Now()
				own, last = min(burst, own+rate*now.Sub(last).Seconds()), now
			}
			var ten sync.WaitGroup
			for range 10 {
				ten.Go(func() { a.ask(t, i%len(nodes)) })
			}
			ten.Wait()
			own -= 10
		}
		t.Logf("%d requests in %s", len(a.passed), length)
		require.Equal(t, map[int]int{200: len(a.passed)}, a.other)
		require.Greater(t, float64(len(a.passed)), rate*length.Seconds()*.8)
	})
}
