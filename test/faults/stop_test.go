package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// balancer asks a node whether it is ready and sends it nothing any more when it is not.
type balancer struct {
	ready   atomic.Bool
	unready atomic.Int64 // how often it was told 503
	broken  atomic.Int64 // how often it was told nothing
}

// watch polls until the node is not ready or gone.
func (b *balancer) watch(n *node) {
	client := &http.Client{Timeout: 5 * time.Second}
	for b.ready.Store(true); ; time.Sleep(20 * time.Millisecond) {
		res, err := client.Get(n.URL + "/readyz")
		if err != nil {
			b.broken.Add(1)
		} else if _ = res.Body.Close(); res.StatusCode == http.StatusOK {
			continue
		} else {
			b.unready.Add(1)
		}
		b.ready.Store(false)
		return
	}
}

func TestSigterm(t *testing.T) {
	t.Run("S-60 SIGTERM under load: readiness falls first, every request that was begun is answered, exit 0 within 15 s", func(t *testing.T) {
		p := newProxy(t, redistest.Start(t).Addr)
		p.most.Store(int64(20 * time.Millisecond)) // there are always requests under way
		d := deploy(t, single(p.Addr))
		var begun, answered atomic.Int64
		var slowest time.Duration
		times := choose(3, 20)
		for range times {
			n, c, b := d.serve(t), newCaller(d), &balancer{}
			b.ready.Store(true)
			go b.watch(n)
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for b.ready.Load() {
						begun.Add(1)
						if a := c.issue(context.Background(), n, "machine-0"); a.status == 200 {
							answered.Add(1)
						}
					}
				})
			}
			before := begun.Load()
			require.Eventually(t, func() bool { return begun.Load() > before+200 }, 20*time.Second, time.Millisecond)
			code, took := n.stop()
			all.Wait()
			require.Zero(t, code)
			require.EqualValues(t, 1, b.unready.Load(), "readiness falls while the node still answers")
			require.Zero(t, b.broken.Load())
			slowest = max(slowest, took)
		}
		figure(t, "S-60", fmt.Sprintf("%d × SIGTERM: %d requests begun, %d not answered by 200; exit after %s at most (shutdown_delay 1 s)", times, begun.Load(),
			begun.Load()-answered.Load(), seconds(slowest)), "0 not answered; exit ≤ 15 s; readiness first")
		require.Equal(t, begun.Load(), answered.Load())
		require.Less(t, slowest, 15*time.Second)
	})
	t.Run("S-60 a request whose body is still on its way when SIGTERM comes is answered", func(t *testing.T) {
		d := deploy(t, "store = \"memory\"\n")
		n := d.serve(t)
		require.Equal(t, 200, n.readiness(t)) // its port speaks before it listens to signals
		body := "grant_type=client_credentials&client_id=machine-0&client_secret=" + d.secret
		conn := dialNode(t, n)
		_, err := fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:20])
		require.NoError(t, err)
		done := make(chan int, 1)
		go func() { code, _ := n.stop(); done <- code }()
		require.Eventually(t, func() bool { return n.readiness(t) == 503 }, 5*time.Second, time.Millisecond)
		res, err := http.Get(n.URL + "/healthz")
		require.NoError(t, err)
		require.True(t, res.Close, "nobody sends the next request into a connection that is about to close")
		require.NoError(t, res.Body.Close())
		require.Eventually(t, func() bool { _, err := http.Get(n.URL + "/readyz"); return err != nil }, 5*time.Second, 10*time.Millisecond, "the listener closes")
		_, err = fmt.Fprint(conn, body[20:])
		require.NoError(t, err)
		require.Contains(t, readAll(t, conn), "access_token")
		require.Zero(t, <-done)
	})
}

func TestSigkill(t *testing.T) {
	t.Run("S-61 kill -9 while refreshes are under way: each refresh token then goes on, and there is one session of each user", func(t *testing.T) {
		p := newProxy(t, redistest.Start(t).Addr)
		d := deploy(t, single(p.Addr))
		n, c, ctx := d.serve(t), newCaller(d), context.Background()
		current := make([]string, workers)
		for i := range current {
			current[i] = c.login(ctx, n, fmt.Sprintf("user-%d", i)).Refresh
		}
		inFlight, lost, times := 0, 0, choose(4, 50)
		for range times {
			p.most.Store(int64(30 * time.Millisecond)) // what Redis has done, the node often does not know yet
			inFlight += killWhileRefreshing(n, c, current)
			p.most.Store(0)
			n = d.serve(t)
			for i, token := range current {
				a := c.refresh(ctx, n, token)
				if a.status != 200 {
					lost++
					a = c.login(ctx, n, fmt.Sprintf("user-%d", i))
				}
				current[i] = a.Refresh
			}
		}
		most := 0
		for i := range current {
			most = max(most, d.sessions(t, fmt.Sprintf("user-%d", i)))
		}
		figure(t, "S-61", fmt.Sprintf("%d × kill -9 with %d refreshes under way: %d sessions lost, at most %d live session of a user", times, inFlight, lost, most),
			"≤ those under way lost; never two")
		require.Positive(t, inFlight)
		require.Zero(t, lost, "the answer was sealed for the one who lost it")
		require.Equal(t, 1, most)
	})
}

// killWhileRefreshing refreshes all tokens over and over, kills the node in the midst, and returns
// how many refreshes had no answer. What was answered is in current.
func killWhileRefreshing(n *node, c *caller, current []string) int {
	var unanswered atomic.Int64
	var all sync.WaitGroup
	for i := range current {
		all.Go(func() {
			for {
				a := c.refresh(context.Background(), n, current[i])
				if a.status != 200 {
					unanswered.Add(1)
					return
				}
				current[i] = a.Refresh
			}
		})
	}
	time.Sleep(time.Duration(50+rand.IntN(150)) * time.Millisecond)
	n.kill()
	all.Wait()
	return int(unanswered.Load())
}

// sessions counts the live sessions of a user, by the command line.
func (d *deployment) sessions(t *testing.T, user string) int {
	t.Helper()
	name, err := program()
	require.NoError(t, err)
	c := exec.Command(name, "user", "sessions", user, "--json", "--config", d.config)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(t, err, stderr.String())
	var list []any
	require.NoError(t, json.Unmarshal(out, &list))
	return len(list)
}
