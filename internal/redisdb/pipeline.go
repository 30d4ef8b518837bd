package redisdb

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/go-redis/redis/v8"
)

// pipeline sends commands to one server. While few commands are being executed, each takes a
// connection of its own, which is quickest. When there are more, they wait in a bounded queue, from
// which up to two workers take all that is there into one pipeline.
//
// At 64 commands at a time that costs a third of the CPU, and Redis answers three times as many. A
// worker ends when the queue is empty: there are no idle goroutines.
//
// A pipeline whose connection fails is sent once more, and then fails for all commands in it. Each
// command gets its own answer and its own error.
type pipeline struct {
	client    *redis.Client // repeats nothing: withRetry does
	send      func(cmds []redis.Cmder) (confirmed error)
	share     bool  // false: no pipelines
	maxDirect int32 // up to so many take connections of their own
	maxQueued int   // up to so many wait

	underway atomic.Int32 // commands, waiting ones too
	working  atomic.Int32 // workers; changed under mu

	mu    sync.Mutex
	queue []*queuedCommand

	spare sync.Pool // reused, for their channels

	batches, shared, refused atomic.Uint64
}

const (
	maxDirect  = 4
	maxWorkers = 2    // a third made it slower
	maxBatch   = 128  // commands in a pipeline
	maxQueue   = 4096 // some 20 ms of a Redis's work
)

// queuedCommand is a command in the queue.
type queuedCommand struct {
	cmd       redis.Cmder
	confirmed error         // what replicas made of it, where send asks them
	done      chan struct{} // one signal: cmd has its answer or error
}

func newPipeline(client *redis.Client, share bool) *pipeline {
	l := &pipeline{client: client, share: share, maxDirect: maxDirect, maxQueued: maxQueue}
	l.send = l.sendBatch
	l.spare.New = func() any { return &queuedCommand{done: make(chan struct{}, 1)} }
	return l
}

// do runs a command; its answer and error are in cmd.
func (l *pipeline) do(ctx context.Context, cmd redis.Cmder) error {
	n := l.underway.Add(1)
	defer l.underway.Add(-1)
	if !l.share || (n <= l.maxDirect && l.working.Load() == 0) {
		return withRetry(func() error { return l.client.Process(endless(ctx), cmd) })
	}
	_, err := l.runQueued(cmd)
	return err
}

// runQueued runs a command in a pipeline, and returns what replicas made of it and its error.
func (l *pipeline) runQueued(cmd redis.Cmder) (confirmed, err error) {
	p := l.spare.Get().(*queuedCommand)
	p.cmd = cmd
	if !l.enqueue(p) {
		l.spare.Put(p)
		l.refused.Add(1)
		return nil, ErrBusy
	}
	<-p.done
	confirmed = p.confirmed
	p.cmd, p.confirmed = nil, nil
	l.spare.Put(p)
	return confirmed, cmd.Err()
}

// enqueue puts a queuedCommand into the queue, and a worker to work if need be. It reports false
// when the queue is full.
func (l *pipeline) enqueue(p *queuedCommand) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= l.maxQueued {
		return false
	}
	l.queue = append(l.queue, p)
	if l.working.Load() < maxWorkers {
		l.working.Add(1)
		go l.work()
	}
	return true
}

// work sends what waits until nothing does.
func (l *pipeline) work() {
	var batch []*queuedCommand
	var cmds []redis.Cmder
	for {
		runtime.Gosched() // those who were just answered ask again: let them in
		batch = l.dequeue(batch[:0])
		if len(batch) == 0 {
			return
		}
		cmds = cmds[:0]
		for _, p := range batch {
			cmds = append(cmds, p.cmd)
		}
		confirmed := l.send(cmds)
		for i, p := range batch {
			batch[i] = nil
			p.confirmed = confirmed
			p.done <- struct{}{}
		}
	}
}

// take moves up to maxBatch spare into batch; when there are none the worker is counted out.
func (l *pipeline) dequeue(batch []*queuedCommand) []*queuedCommand {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), maxBatch)
	if n == 0 {
		l.working.Add(-1)
		return batch
	}
	batch = append(batch, l.queue[:n]...)
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	return batch
}

// pipeline runs commands in one pipeline. Each gets its answer or its error.
func (l *pipeline) sendBatch(cmds []redis.Cmder) error {
	sendWithRetry(l.client, cmds)
	l.batches.Add(1)
	l.shared.Add(uint64(len(cmds)))
	return nil
}
