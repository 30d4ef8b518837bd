// Package background runs the tasks beside the requests for as long as a server serves. Each task
// has a name. A task that panics, or returns before its group stops, is logged, counted and
// restarted after a pause. Until it runs steadily, Err names it and the node is not ready.
//
// A new task is one line where the node is put together:
//
//	r.background.Go("client change stream", func(ctx context.Context) { live.Run(ctx, log) })
//
// A task returns when ctx ends, and not before.
package background

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Pauses before a task that ended begins again, and how long it must run to count as steady.
const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
	steady     = 5 * time.Second
)

// Group is some tasks that stop together.
type Group struct {
	log   *slog.Logger
	watch func(task string, running bool)
	ctx   context.Context
	stop  context.CancelFunc
	all   sync.WaitGroup

	mu    sync.Mutex
	tasks []*task
}

type task struct {
	name   string
	run    func(context.Context)
	turn   int   // how often it has begun
	failed error // why it ended last; nil: it runs steadily
}

// New returns a group without tasks. watch may be nil; it is called when a task starts to run, and
// when a task ends although the group goes on. When the group stops, a task that waits for its
// restart counts as running.
func New(log *slog.Logger, watch func(task string, running bool)) *Group {
	if watch == nil {
		watch = func(string, bool) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Group{log: log, watch: watch, ctx: ctx, stop: cancel}
}

// Go starts a task. run must return when its context ends; it may be called again if it ends
// earlier.
func (g *Group) Go(name string, run func(ctx context.Context)) {
	t := &task{name: name, run: run}
	g.mu.Lock()
	g.tasks = append(g.tasks, t)
	g.mu.Unlock()
	g.all.Go(func() { g.keep(t) })
}

// Err returns which tasks do not run steadily, and why; nil when all do.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []error
	for _, t := range g.tasks {
		list = append(list, t.failed)
	}
	return errors.Join(list...)
}

// Tasks returns the names of the tasks in the order of their beginning.
func (g *Group) Tasks() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.tasks {
		names = append(names, t.name)
	}
	return names
}

// Stop ends all tasks and waits for them.
func (g *Group) Stop() {
	g.stop()
	g.all.Wait()
}

// keep runs a task until the group stops, again and again if it ends earlier.
func (g *Group) keep(t *task) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		begun := time.Now()
		g.watch(t.name, true)
		good := g.begin(t)
		stack, err := once(g.ctx, t.run)
		good.Stop()
		if g.ctx.Err() != nil && err == nil {
			return
		}
		if err == nil {
			err = errors.New("it returned")
		}
		if time.Since(begun) > maxPause {
			pause = firstPause
		}
		g.watch(t.name, false) // first: who finds the node unready finds it counted
		g.end(t, fmt.Errorf("background task %q ended: %w", t.name, err))
		g.log.Error("background task ended", "task", t.name, "error", err.Error(),
			"restart_in_ms", pause.Milliseconds(), "stack", string(stack))
		select {
		case <-g.ctx.Done():
			g.watch(t.name, true) // a group that stops misses none; the task of this name in the next one may run
			return
		case <-time.After(pause):
		}
	}
}

// begin counts a turn of a task; after a while in which the turn has not ended the task is steady.
func (g *Group) begin(t *task) *time.Timer {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.turn++
	turn := t.turn
	return time.AfterFunc(steady, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if t.turn == turn {
			t.failed = nil
		}
	})
}

func (g *Group) end(t *task, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.turn++
	t.failed = err
}

// once runs a task to its end, whatever ends it: a panic is an error, with where it happened.
func once(ctx context.Context, run func(context.Context)) (stack []byte, err error) {
	var all sync.WaitGroup
	all.Go(func() { // a goroutine of its own may leave by runtime.Goexit too
		defer func() {
			if p := recover(); p != nil {
				stack, err = debug.Stack(), fmt.Errorf("panic: %v", p)
			}
		}()
		run(ctx)
	})
	all.Wait()
	return stack, err
}
