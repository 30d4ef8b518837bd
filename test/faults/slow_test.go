package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is what a busy machine may add to a bound of a second.
const patience = 5 * time.Second

const inMemory = "store = \"memory\"\n"

// TestSlowClients holds connections as an attacker would; meanwhile somebody else is served.
func TestSlowClients(t *testing.T) {
	t.Parallel() // it waits for the server's timeouts
	_, err := program()
	require.NoError(t, err)
	t.Run("all at once", func(t *testing.T) {
		t.Run("S-40 first lines, headers and bodies of a byte a second are cut within 35 s", func(t *testing.T) { t.Parallel(); slowloris(t) })
		t.Run("S-41 clients that never read are cut within 35 s", func(t *testing.T) { t.Parallel(); neverRead(t) })
		t.Run("S-43 idle connections do not keep others out", func(t *testing.T) { t.Parallel(); flood(t) })
	})
}

// others asks as an honest client until done is closed, and returns the slowest answer.
func others(t *testing.T, n *node, d *deployment, done <-chan struct{}) (slowest time.Duration, asked int) {
	c := newCaller(d)
	for {
		select {
		case <-done:
			return slowest, asked
		case <-time.After(50 * time.Millisecond):
		}
		a := c.issue(context.Background(), n, "machine-0")
		if a.status != 200 {
			t.Errorf("an honest client was refused: %d %v", a.status, a.err)
			return slowest, asked
		}
		slowest, asked = max(slowest, a.took), asked+1
	}
}

func slowloris(t *testing.T) {
	d := deploy(t, inMemory)
	n := d.serve(t)
	base := n.open()
	starts := []string{"", "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nX-Pad: ",
		"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000\r\n\r\n"}
	const count = 150
	done := make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	for i := range count {
		conn := dialNode(t, n)
		all.Go(func() {
			begun := time.Now()
			drip(conn, starts[i%len(starts)])
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, time.Since(begun))
		})
	}
	go func() { all.Wait(); close(done) }()
	slowest, asked := others(t, n, d, done)
	figure(t, "S-40", fmt.Sprintf("%d connections of a byte a second: the last cut after %s; %d others meanwhile, the slowest in %s", count, seconds(longest), asked, seconds(slowest)),
		"all cut ≤ 35 s; others ≤ 1 s")
	require.Less(t, longest, 35*time.Second+patience)
	require.Less(t, slowest, patience)
	require.Eventually(t, func() bool { return n.open() <= base+5 }, 5*time.Second, 20*time.Millisecond, "the node keeps the connections")
}

// drip sends a start, then a byte a second until the connection is closed.
func drip(conn net.Conn, start string) {
	defer conn.Close()
	if _, err := conn.Write([]byte(start)); err != nil {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for buf := make([]byte, 4096); ; {
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	}()
	for giveUp := time.After(60 * time.Second); ; {
		select {
		case <-closed:
			return
		case <-giveUp:
			return
		case <-time.After(time.Second):
			_, _ = conn.Write([]byte("P"))
		}
	}
}

// neverRead sends requests and reads nothing: soon the node can write no more, and takes no more.
func neverRead(t *testing.T) {
	d := deploy(t, inMemory)
	n := d.serve(t)
	base, count := n.open(), choose(30, 150)
	request := []byte(strings.Repeat("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: x\r\n\r\n", 50))
	stuck := make([]time.Duration, count) // from the last bytes that the node took until it cut the connection
	begun := time.Now()
	var all sync.WaitGroup
	for i := range count {
		conn := dialNode(t, n)
		require.NoError(t, conn.SetReadBuffer(4096))
		all.Go(func() { stuck[i] = pourUntilCut(conn, request) })
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	slowest, asked := others(t, n, d, done)
	longest := slices.Max(stuck)
	figure(t, "S-41", fmt.Sprintf("%d clients that never read: all cut, at most %s after the node took the last of it, %s after they began; %d others meanwhile, the slowest in %s", count,
		seconds(longest), seconds(time.Since(begun)), asked, seconds(slowest)), "cut ≤ 35 s; others ≤ 1 s")
	require.Less(t, longest, 35*time.Second+patience)
	require.Less(t, slowest, patience)
	require.Eventually(t, func() bool { return n.open() <= base+5 }, 10*time.Second, 20*time.Millisecond, "the node keeps the connections")
}

// pourUntilCut sends a text over and over, and returns how long the node had taken nothing of it
// when it cut the connection.
func pourUntilCut(conn net.Conn, text []byte) time.Duration {
	last := time.Now()
	for at := 0; ; {
		_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		k, err := conn.Write(text[at:])
		at = (at + k) % len(text)
		if k > 0 {
			last = time.Now()
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(last) > 2*time.Minute {
			return time.Since(last)
		}
	}
}

// flood holds connections that were used once, and some that never were.
func flood(t *testing.T) {
	d := deploy(t, inMemory)
	n := d.serve(t)
	base := n.open()
	count := choose(500, 5000)
	for i := range count {
		conn := dialNode(t, n)
		if i%2 == 0 {
			_, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool { return n.open() >= base+count*9/10 }, 20*time.Second, 20*time.Millisecond, "the node has accepted them")
	done := make(chan struct{})
	time.AfterFunc(time.Second, func() { close(done) })
	slowest, asked := others(t, n, d, done)
	figure(t, "S-43", fmt.Sprintf("%d idle connections: %d requests beside them, the slowest in %s; %d kB of memory, %d descriptors", count, asked, seconds(slowest), n.resident(), n.open()),
		"good request ≤ 1 s")
	require.Less(t, slowest, patience)
	require.Positive(t, asked)
}

// TestConnectionLimit floods a node that may open few files.
func TestConnectionLimit(t *testing.T) {
	t.Run("S-43 more connections than the node may open: who is connected is served, and the node goes on", func(t *testing.T) {
		if _, err := exec.LookPath("prlimit"); err != nil {
			t.Skip("prlimit (util-linux) is not on PATH")
		}
		d := deploy(t, inMemory)
		n := d.serve(t)
		c := newCaller(d)
		require.Equal(t, 200, c.issue(context.Background(), n, "machine-0").status)
		const limit = 256
		out, err := exec.Command("prlimit", "--pid", fmt.Sprint(n.Cmd.Process.Pid), fmt.Sprintf("--nofile=%d:%d", limit, limit)).CombinedOutput()
		require.NoError(t, err, string(out))
		var held []net.Conn
		for range limit + 100 {
			conn := dialNode(t, n)
			_, _ = conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
			held = append(held, conn)
		}
		a := c.issue(context.Background(), n, "machine-0")
		require.Equal(t, 200, a.status, a.err)
		fds := n.open()
		for _, conn := range held {
			_ = conn.Close()
		}
		fresh := newCaller(d)
		require.Eventually(t, func() bool { return fresh.issue(context.Background(), n, "machine-1").status == 200 }, 10*time.Second, 20*time.Millisecond)
		figure(t, "S-43", fmt.Sprintf("%d connections where %d files may be open: %d are; who was connected is served in %s; served anew when they go", limit+100, limit, fds,
			seconds(a.took)), "good request ≤ 1 s; descriptors capped below the limit")
	})
}
