package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/test/bench/contest"
	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/report"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// rounds lets every contestant have its turn at every case, round by round, so that what the
// machine does meanwhile meets all of them.
func (b *bench) rounds(ctx context.Context) error {
	for round := range b.options.rounds {
		for _, connections := range b.connections {
			for _, k := range b.cases {
				for _, c := range b.contestants {
					if !c.Can(k.name) {
						continue
					}
					s, err := b.measure(ctx, c, k, connections)
					if err != nil {
						return fmt.Errorf("%s, %s, %d connections: %w", c.Name, k.name, connections, err)
					}
					s.Round = round + 1
					b.run.Samples = append(b.run.Samples, s)
					say("round %d  %3d  %-17s%-16s%8.0f/s  p50 %6.0f µs  CPU %5.1f µs  errors %d", s.Round, connections, k.name, c.Name, s.Rate, s.P50, s.CPU(), s.Errors)
				}
			}
		}
	}
	return nil
}

// measure starts a contestant with a store of its own and plays one case.
func (b *bench) measure(ctx context.Context, c *contest.Contestant, k caseOf, connections int) (report.Sample, error) {
	people := 0
	if strings.TrimSuffix(k.name, contest.Bound) == "refresh" {
		people = logIns(connections)
	}
	i, err := c.Start(ctx, b.env, people)
	if err != nil {
		return report.Sample{}, err
	}
	defer i.Stop()
	f := &fixture{Instance: i, connections: connections, duration: b.duration, answers: newAnswers(c.Name == "gin")}
	plan, err := k.prepare(ctx, f)
	if err != nil {
		return report.Sample{}, err
	}
	warm, plan := plan.Split(connections)
	if err := b.verify(ctx, f, warm, b.warmup); err != nil {
		return report.Sample{}, err
	}
	s, err := b.load(ctx, f, plan)
	s.Contestant, s.Case, s.Connections = c.Name, k.name, connections
	if err != nil || plan.Mode != load.Cycle || len(plan.Kinds) > 1 || plan.Proofs != nil {
		return s, err
	}
	return s, b.verify(ctx, f, plan, 50*time.Millisecond)
}

// verify plays a plan for a while and looks at every answer; of what was revoked it asks whether it
// is dead.
func (b *bench) verify(ctx context.Context, f *fixture, p load.Plan, d time.Duration) error {
	wrong := func(r load.Result) error {
		if r.Errors > 0 {
			return fmt.Errorf("%d of %d answers are wrong, the first: %s", r.Errors, r.Requests, r.FirstError)
		}
		return nil
	}
	if err := wrong(load.Run(ctx, p, f.connections, d, f.answers.check)); err != nil {
		return err
	}
	dead := f.answers.revoked()
	if len(dead) == 0 {
		return nil
	}
	return wrong(load.Run(ctx, load.Of(load.Once, f.Introspect(), dead...), min(8, len(dead)), time.Minute, f.answers.check))
}

// load plays a plan and measures.
func (b *bench) load(ctx context.Context, f *fixture, p load.Plan) (report.Sample, error) {
	s := report.Sample{Cold: float64(f.Cold.Microseconds()) / 1000}
	bytes, keys, err := f.used(ctx)
	if err != nil {
		return s, err
	}
	before, err := f.CPU()
	if err != nil {
		return s, err
	}
	if err := f.Profiling(true); err != nil {
		return s, err
	}
	r, err := b.play(ctx, f, p)
	if err = errors.Join(err, f.Profiling(false)); err != nil {
		return s, err
	}
	after, err := f.CPU()
	if err != nil {
		return s, err
	}
	if s.Resident, err = f.Instance.Resident(); err != nil {
		return s, err
	}
	bytesAfter, keysAfter, err := f.used(ctx)
	if err != nil || r.Requests == 0 {
		return s, fmt.Errorf("nothing was measured: %w", err)
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	s.Requests, s.Seconds, s.Rate, s.Errors = r.Requests, r.Elapsed.Seconds(), r.Rate(), r.Errors
	s.P50, s.P99, s.Max = micros(r.P50), micros(r.P99), micros(r.Max)
	each := func(d time.Duration) float64 { return micros(d) / float64(r.Requests) }
	s.FrontCPU, s.ServerCPU, s.StoreCPU = each(after.Front-before.Front), each(after.Server-before.Server), each(after.Store-before.Store)
	s.Busy = stack.LoadAverage()
	if p.Kinds[0].Name == "issue" && keysAfter > keys && len(p.Kinds) == 1 {
		s.PerToken = float64(bytesAfter-bytes) / float64(r.Requests)
	}
	return s, nil
}

func (b *bench) play(ctx context.Context, f *fixture, p load.Plan) (load.Result, error) {
	if b.wrk {
		return load.Wrk(ctx, p, f.connections, b.duration)
	}
	return load.Run(ctx, p, f.connections, b.duration, nil), nil
}

// used is what Redis uses and holds; zeros where there is none.
func (f *fixture) used(ctx context.Context) (bytes, keys int64, err error) {
	if f.Redis == nil {
		return 0, 0, nil
	}
	return f.Redis.Used(ctx)
}
