package faults_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis/v8"
	"github.com/stretchr/testify/require"
)

// measured is what the run costs at a moment. Of Redis both data servers are counted, since they
// change places.
type measured struct {
	resident, heap, goroutines, open int // of the node that stays; resident in kB
	otherResident, otherOpen         int // of the node that comes and goes
	clients, keys, eternal, memory   int // of Redis: keys on the primary, and those without a lifetime
}

func (m measured) String() string {
	return fmt.Sprintf("node A: RSS %d kB, heap %d kB, %d goroutines, %d descriptors; node B: RSS %d kB, %d descriptors; Redis: %d clients, %d keys, %d kB",
		m.resident, m.heap>>10, m.goroutines, m.open, m.otherResident, m.otherOpen, m.clients, m.keys, m.memory>>10)
}

// beside names the node's figures before and after.
func (m measured) beside(base measured) string {
	return fmt.Sprintf("goroutines %d before and %d after, heap %d and %d kB, RSS %d and %d kB, descriptors %d and %d, Redis' clients %d and %d",
		base.goroutines, m.goroutines, base.heap>>10, m.heap>>10, base.resident, m.resident, base.open, m.open, base.clients, m.clients)
}

// above lists what is not back at the base.
func (m measured) above(base measured) (list []string) {
	check := func(what string, now, most int) {
		if now > most {
			list = append(list, fmt.Sprintf("%s: %d, at most %d", what, now, most))
		}
	}
	check("goroutines", m.goroutines, base.goroutines+base.goroutines/10+4)
	check("descriptors", m.open, base.open+6)
	check("descriptors of the other node", m.otherOpen, base.otherOpen+6)
	check("resident kB", m.resident, base.resident+max(base.resident/4, 8<<10))
	check("heap in bytes", m.heap, base.heap+max(base.heap/4, 4<<20))
	check("Redis' clients", m.clients, base.clients+12)
	check("Redis' keys", m.keys, base.keys+2*hourWorkers) // a login that was never ended leaves its place in its user's list
	check("Redis' keys without a lifetime", m.eternal, 0)
	check("Redis' memory", m.memory, base.memory+max(base.memory/4, 8<<20))
	return list
}

// settle waits until what the load left has ended, and measures. With a base it waits for some
// minutes more until everything is back.
func (h *hour) settle(t *testing.T, base *measured) measured {
	t.Helper()
	time.Sleep(hourSession - 20*time.Second) // tokens, boxes, counters and connections without work
	h.drain(t)
	m := h.measure(t)
	for deadline := time.Now().Add(3 * time.Minute); base != nil && len(m.above(*base)) > 0 && time.Now().Before(deadline); m = h.measure(t) {
		time.Sleep(5 * time.Second)
	}
	return m
}

// drain asks for every token that is left: all are over.
func (h *hour) drain(t *testing.T) {
	t.Helper()
	for _, token := range h.tokens {
		require.True(t, h.judge(h.stays, token), h.said())
	}
	h.tokens = nil
	h.http.CloseIdleConnections()
	time.Sleep(time.Second) // the node closes its ends of them
}

func (h *hour) measure(t *testing.T) (m measured) {
	t.Helper()
	m.resident, m.open = h.stays.resident(), h.stays.open()
	m.otherResident, m.otherOpen = h.goes.resident(), h.goes.open()
	values := scrape(t, h.d.config)
	m.heap, m.goroutines = int(values["go_memstats_heap_inuse_bytes"]), int(values["go_goroutines"])
	require.Positive(t, m.goroutines, "the node tells its goroutines")
	for _, s := range h.r.data {
		m.clients += number(s.c.Info(t.Context(), "clients").Val(), "connected_clients")
		m.memory += number(s.c.Info(t.Context(), "memory").Val(), "used_memory")
	}
	p := h.r.primary(t).c
	keys, err := p.DBSize(t.Context()).Result()
	require.NoError(t, err)
	m.keys = int(keys)
	m.eternal = eternal(t, p)
	return m
}

var metricsListen = regexp.MustCompile(`\[metrics\]\nlisten = "([^"]+)"`)

// scrape reads the plain values of a node's metrics.
func scrape(t *testing.T, config string) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+metricsListen.FindStringSubmatch(string(text))[1]+"/metrics", nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	values := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 2 {
			values[f[0]], _ = strconv.ParseFloat(f[1], 64)
		}
	}
	return values
}

// number reads a line of INFO.
func number(info, name string) int {
	_, rest, _ := strings.Cut(info, name+":")
	line, _, _ := strings.Cut(rest, "\r")
	n, _ := strconv.Atoi(line)
	return n
}

// eternal counts keys without a lifetime. The feed of changes of clients is data, and has none
// (docs/operate/redis.md).
func eternal(t *testing.T, c *redis.Client) (count int) {
	t.Helper()
	keys := c.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		if c.PTTL(t.Context(), keys.Val()).Val() == -1 && !strings.Contains(keys.Val(), "clients:{registry}:") { // the registry stays
			count++
			t.Logf("a key without a lifetime: %q", keys.Val())
		}
	}
	require.NoError(t, keys.Err())
	return count
}
