package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ordeal is a kind of fault; inflict begins it, lets it last, and ends it.
type ordeal struct {
	name    string
	inflict func(t *testing.T)
}

func (h *hour) ordeals() []ordeal {
	return []ordeal{
		{"scripts flushed", h.flushScripts},
		{"primary killed", h.killPrimary},
		{"replica cut off", h.cutReplica},
		{"node stopped by SIGTERM and started", h.stopNode},
		{"primary full", h.withConfig("maxmemory", "1mb", "0")},
		{"connections cut and refused", h.cutPrimary},
		{"answers swallowed", h.swallowAnswers},
		{"primary paused for 1.5 s", h.pausePrimary},
		{"primary paused until it is replaced", h.pauseTooLong},
		{"answers late by 1 to 50 ms", h.delayAnswers},
		{"node killed and started", h.killNode},
		{"answers halved", h.halveAnswers},
		{"replica killed and started", h.killReplica},
		{"min-replicas-to-write unmet", h.withConfig("min-replicas-to-write", "2", "0")},
		{"a Sentinel killed and started", h.killSentinel},
	}
}

// with is the same deployment with an end of its own.
func (d *deployment) with(t *testing.T, more, instead string) *deployment {
	t.Helper()
	b, err := os.ReadFile(d.config)
	require.NoError(t, err)
	head, _, found := strings.Cut(string(b), instead[:strings.IndexByte(instead, '%')])
	require.True(t, found)
	other := *d
	other.config = filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(other.config, []byte(head+more), 0o600))
	return &other
}

func (h *hour) flushScripts(t *testing.T) {
	p := h.r.primary(t)
	for range 50 {
		p.do(t, "script", "flush", "sync")
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *hour) withConfig(key, bad, good string) func(*testing.T) {
	return func(t *testing.T) {
		p := h.r.primary(t)
		p.do(t, "config", "set", key, bad)
		time.Sleep(3 * time.Second)
		p.do(t, "config", "set", key, good)
	}
}

// part cuts the replica off from its primary. SYNC is never allowed again: a replica whose PSYNC
// was refused, and whose SYNC a moment later was not, speaks the old protocol, which confirms
// nothing to a WAIT.
func (h *hour) part(t *testing.T, p *server) {
	t.Helper()
	p.do(t, "acl", "setuser", "default", "-psync", "-sync")
	p.do(t, "client", "kill", "type", "replica")
}

func (h *hour) cutReplica(t *testing.T) {
	p := h.r.primary(t)
	h.part(t, p)
	time.Sleep(3 * time.Second)
	p.do(t, "acl", "setuser", "default", "+psync")
}

// failedOver notes the moment: what the old primary alone had is gone.
func (h *hour) failedOver() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failovers = append(h.failovers, time.Now())
}

// killPrimary kills the primary just after its replica was cut off, so that what it alone
// acknowledged is lost for certain.
func (h *hour) killPrimary(t *testing.T) {
	p := h.r.primary(t)
	h.part(t, p)
	time.Sleep(200 * time.Millisecond)
	h.failedOver()
	p.Kill()
	now := h.r.replaced(t, p)
	p.Restart()
	p.follow(t, now)
}

// pauseTooLong lets an old primary wake up that still believes in itself.
func (h *hour) pauseTooLong(t *testing.T) {
	p := h.r.primary(t)
	h.failedOver()
	p.Pause()
	now := h.r.replaced(t, p)
	h.back(t, kinds...)
	p.Resume()
	p.follow(t, now)
}

func (h *hour) pausePrimary(t *testing.T) {
	p := h.r.primary(t)
	p.Pause()
	time.Sleep(1500 * time.Millisecond)
	p.Resume()
}

func (h *hour) cutPrimary(t *testing.T) {
	p := h.r.primary(t).p
	p.refuse.Store(true)
	p.cut()
	time.Sleep(1500 * time.Millisecond)
	p.refuse.Store(false)
}

// swallowAnswers ends the connections before answers arrive again: TCP leaves no gap within one.
func (h *hour) swallowAnswers(t *testing.T) {
	p := h.r.primary(t).p
	p.refuse.Store(true)
	p.swallow.Store(true)
	time.Sleep(1500 * time.Millisecond)
	p.cut()
	p.swallow.Store(false)
	p.refuse.Store(false)
}

func (h *hour) delayAnswers(t *testing.T) {
	p := h.r.primary(t).p
	p.most.Store(int64(50 * time.Millisecond))
	time.Sleep(5 * time.Second)
	p.most.Store(0)
}

func (h *hour) halveAnswers(t *testing.T) {
	p := h.r.primary(t).p
	for range 20 {
		p.halve.Store(2)
		time.Sleep(50 * time.Millisecond)
	}
	p.halve.Store(0)
}

func (h *hour) killReplica(t *testing.T) {
	p := h.r.primary(t)
	o := h.r.other(p)
	o.Kill()
	time.Sleep(2 * time.Second)
	o.Restart()
	o.follow(t, p)
}

func (h *hour) killSentinel(t *testing.T) {
	w := h.r.watchers[0]
	w.Kill()
	time.Sleep(2 * time.Second)
	w.Restart()
}

// away takes the node that goes from the balancer and returns it.
func (h *hour) away() *node {
	h.nodesMu.Lock()
	defer h.nodesMu.Unlock()
	n := h.goes
	h.goes = nil
	return n
}

func (h *hour) start(t *testing.T) {
	t.Helper()
	n := h.going.serve(t)
	require.Equal(t, 200, n.readiness(t))
	h.nodesMu.Lock()
	defer h.nodesMu.Unlock()
	h.goes = n
}

// stopNode is a restart as balancers see it: they turn away when the node is no longer ready, and
// no request is lost.
func (h *hour) stopNode(t *testing.T) {
	n := h.goes
	b := &balancer{}
	turned := make(chan struct{})
	go func() { b.watch(n); h.away(); close(turned) }()
	code, took := n.stop()
	<-turned
	require.Zero(t, code)
	require.Less(t, took, 15*time.Second)
	time.Sleep(time.Second)
	h.start(t)
}

// killNode excuses the answers that the node owed.
func (h *hour) killNode(t *testing.T) {
	h.mu.Lock()
	before := h.unanswered
	h.mu.Unlock()
	h.goes.kill()
	h.away()
	time.Sleep(time.Second)
	h.mu.Lock()
	h.excused += h.unanswered - before
	h.mu.Unlock()
	h.start(t)
}
