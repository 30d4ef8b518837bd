package redisdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// recovery is how soon a Redis that is back must be served again.
const recovery = 2 * time.Second

// inParallel runs f n times at one moment and returns the errors.
func inParallel(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

func TestRedisAway(t *testing.T) {
	for name, fault := range map[string]struct {
		begin, end func(*redistest.Server)
	}{
		"killed": {(*redistest.Server).Stop, (*redistest.Server).Restart},
		"paused": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run("S-20 Redis "+name+": an error within 3 s, then at once, and back by itself", func(t *testing.T) {
			s := redistest.New(t, redistest.Options{AppendOnly: true})
			var log syncBuffer
			db := open(t, redisdb.Config{URL: s.URL, Log: slog.New(slog.NewTextHandler(&log, nil))})
			ctx := t.Context()
			require.NoError(t, db.Set(ctx, "k", []byte("v"), time.Hour))
			goroutines := runtime.NumGoroutine()
			// As many connections as the pool has, so that many die idle.
			for _, err := range inParallel(200, func(int) error { _, err := db.Get(ctx, "k"); return err }) {
				require.NoError(t, err)
			}
			fault.begin(s)
			begun := time.Now()
			for _, err := range inParallel(64, func(int) error { _, err := db.Get(ctx, "k"); return err }) {
				require.ErrorIs(t, err, redisdb.ErrUnavailable)
				require.NotErrorIs(t, err, redisdb.ErrNil, "an outage is never a no")
			}
			require.Less(t, time.Since(begun), 3*time.Second)
			begun = time.Now()
			for range 1000 {
				require.ErrorIs(t, db.Set(ctx, "k", []byte("w"), time.Hour), redisdb.ErrUnavailable)
				_, err := db.Once(ctx, incr, []string{"n"})
				require.ErrorIs(t, err, redisdb.ErrUnavailable)
			}
			require.Less(t, time.Since(begun), time.Second, "a Redis known to be away costs no timeouts")
			require.Equal(t, 1, db.Stats().Silent)
			fault.end(s)
			back := time.Now()
			require.Eventually(t, func() bool { _, err := db.Get(ctx, "k"); return err == nil }, recovery, 5*time.Millisecond)
			t.Logf("served again after %s", time.Since(back).Round(time.Millisecond))
			for _, err := range inParallel(64, func(int) error { _, err := db.Get(ctx, "k"); return err }) {
				require.NoError(t, err, "no dead connection is left")
			}
			v, err := db.Get(ctx, "k")
			require.NoError(t, err)
			require.Contains(t, []string{"v", "w"}, string(v))
			require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+goroutines/10+2 }, 3*time.Second, 20*time.Millisecond)
			if name == "killed" { // a pause may end before it is noticed
				require.Contains(t, log.String(), "redis does not answer")
				require.Contains(t, log.String(), "redis answers again")
			}
		})
	}
}

// syncBuffer is a bytes.Buffer for goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestIdleConnectionsDie(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s.Addr)
	db := open(t, redisdb.Config{URL: "redis://" + p.Addr, NoCoalescing: true})
	ctx := t.Context()
	for _, err := range inParallel(64, func(int) error { return db.Set(ctx, "k", []byte("v"), time.Hour) }) {
		require.NoError(t, err)
	}
	require.Greater(t, db.Stats().Idle, 8)
	p.cut()
	failed := 0
	for range 100 {
		if _, err := db.Get(ctx, "k"); err != nil {
			require.ErrorIs(t, err, redisdb.ErrUnavailable)
			failed++
			require.Eventually(t, func() bool { return db.Stats().Silent == 0 }, time.Second, time.Millisecond)
		}
	}
	require.LessOrEqual(t, failed, 2, "all idle connections died, Redis did not: the pool is swept once, not emptied error by error")
	for _, err := range inParallel(64, func(int) error { _, err := db.Get(ctx, "k"); return err }) {
		require.NoError(t, err)
	}
}

func TestLostAnswers(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s.Addr)
	db := open(t, redisdb.Config{URL: "redis://" + p.Addr})
	ctx := t.Context()
	calls := func(key string) string { return s.Client().Get(ctx, key).Val() }
	_, err := db.Once(ctx, incr, []string{"known"}) // Redis knows the script from here on
	require.NoError(t, err)
	calm := func(t *testing.T) { // three failures in a row, and nobody is asked for a while
		require.Eventually(t, func() bool { _, err := db.Once(ctx, incr, []string{"calm"}); return err == nil }, recovery, 5*time.Millisecond)
	}
	t.Run("V-11 Once: an answer that was lost is an error, and counted once", func(t *testing.T) {
		p.loseAnswers.Store(1)
		_, err := db.Once(ctx, incr, []string{"once"})
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.Equal(t, "1", calls("once"))
	})
	t.Run("ER-06 a write whose answer is lost twice: nobody knows what became of it, and that is what it says", func(t *testing.T) {
		calm(t)
		p.loseAnswers.Store(2)
		err := db.Set(ctx, "unknown", []byte("x"), time.Hour)
		require.ErrorIs(t, err, redisdb.ErrOutcomeUnknown)
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.Equal(t, "x", s.Client().Get(ctx, "unknown").Val(), "it was done")
		calm(t)
		p.loseAnswers.Store(2)
		_, err = db.Get(ctx, "unknown")
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.NotErrorIs(t, err, redisdb.ErrOutcomeUnknown, "what changes nothing has no outcome")
	})
	t.Run("ER-06 a refusal that follows a lost answer refuses nothing", func(t *testing.T) {
		calm(t)
		p.loseAnswers.Store(1)
		p.lost.Store(func() { s.Client().ConfigSet(context.Background(), "min-replicas-to-write", "1") })
		err := db.Set(ctx, "refused", []byte("x"), time.Hour)
		p.lost.Store(func() {})
		require.ErrorIs(t, err, redisdb.ErrOutcomeUnknown)
		require.Equal(t, "x", s.Client().Get(ctx, "refused").Val(), "it was done")
		err = db.Set(ctx, "refused", []byte("y"), time.Hour)
		require.ErrorContains(t, err, "NOREPLICAS")
		require.NotErrorIs(t, err, redisdb.ErrOutcomeUnknown, "Redis said no, and that is all")
		require.NoError(t, s.Client().ConfigSet(ctx, "min-replicas-to-write", "0").Err())
	})
	t.Run("Eval: it is sent again, so scripts must be idempotent", func(t *testing.T) {
		p.loseAnswers.Store(1)
		v, err := db.Eval(ctx, incr, []string{"twice"})
		require.NoError(t, err)
		require.EqualValues(t, 2, v)
	})
	t.Run("SetNX recognises its own repetition", func(t *testing.T) {
		_, err := db.SetNX(ctx, "warm", []byte("x"), time.Hour)
		require.NoError(t, err)
		p.loseAnswers.Store(1)
		ok, err := db.SetNX(ctx, "nx", []byte("mine"), time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
	})
	t.Run("a batch whose connection dies is sent again, each with its own answer", func(t *testing.T) {
		redisdb.AlwaysShare(db)
		for i := range 64 {
			require.NoError(t, db.Set(ctx, fmt.Sprint(i), []byte(fmt.Sprint(i)), time.Hour))
		}
		p.loseAnswers.Store(1)
		for _, err := range inParallel(64, func(i int) error {
			v, err := db.Get(ctx, fmt.Sprint(i))
			if err == nil && string(v) != fmt.Sprint(i) {
				err = fmt.Errorf("%d: got %s", i, v)
			}
			return err
		}) {
			require.NoError(t, err)
		}
	})
	t.Run("a batch that dies twice fails for each, as unavailable", func(t *testing.T) {
		p.loseAnswers.Store(1000)
		for _, err := range inParallel(64, func(i int) error { _, err := db.Get(ctx, fmt.Sprint(i)); return err }) {
			require.ErrorIs(t, err, redisdb.ErrUnavailable)
		}
		p.loseAnswers.Store(0)
		require.Eventually(t, func() bool { _, err := db.Get(ctx, "1"); return err == nil }, recovery, 5*time.Millisecond)
	})
}

func TestStatesOfRedis(t *testing.T) {
	ctx := context.Background()
	t.Run("S-21 memory is full: writes are unavailable, reads and deletions work", func(t *testing.T) {
		s := redistest.Start(t, "--maxmemory-policy", "noeviction")
		db := open(t, redisdb.Config{URL: s.URL})
		require.NoError(t, db.Set(ctx, "k", []byte("v"), time.Hour))
		require.NoError(t, s.Client().ConfigSet(ctx, "maxmemory", "1").Err())
		for range 20 {
			err := db.Set(ctx, "x", []byte("v"), time.Hour)
			require.ErrorIs(t, err, redisdb.ErrUnavailable)
			require.ErrorContains(t, err, "OOM")
		}
		_, err := db.SetNX(ctx, "x", []byte("v"), time.Hour)
		require.ErrorIs(t, err, redisdb.ErrUnavailable, "in a script, too")
		_, err = db.Get(ctx, "k")
		require.NoError(t, err)
		n, err := db.DelDurable(ctx, "k")
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})
	t.Run("S-21 a replica, and a primary with too few replicas", func(t *testing.T) {
		s := redistest.Start(t)
		db := open(t, redisdb.Config{URL: s.AddReplica().URL})
		require.ErrorIs(t, db.Set(ctx, "k", []byte("v"), time.Hour), redisdb.ErrUnavailable)
		_, err := db.Get(ctx, "k")
		require.Equal(t, redisdb.ErrNil, err)
		require.NoError(t, s.Client().ConfigSet(ctx, "min-replicas-to-write", "2").Err())
		err = open(t, redisdb.Config{URL: s.URL}).Set(ctx, "k", []byte("v"), time.Hour)
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.ErrorContains(t, err, "NOREPLICAS")
	})
	t.Run("S-21 scripts flushed", func(t *testing.T) {
		s := redistest.Start(t)
		db := open(t, redisdb.Config{URL: s.URL})
		for i := range 3 {
			v, err := db.Eval(ctx, incr, []string{"n"})
			require.NoError(t, err)
			require.EqualValues(t, i+1, v)
			require.NoError(t, s.Client().ScriptFlush(ctx).Err())
		}
	})
	t.Run("a wrong password, and none", func(t *testing.T) {
		s := redistest.Start(t, "--requirepass", "right-secret")
		for _, password := range []string{"wrong-secret", ""} {
			_, err := open(t, redisdb.Config{URL: s.URL, Password: password}).Get(ctx, "k")
			require.ErrorIs(t, err, redisdb.ErrUnavailable)
			require.NotContains(t, err.Error(), "secret")
		}
		_, err := open(t, redisdb.Config{URL: "redis://:right-secret@" + s.Addr}).Get(ctx, "k")
		require.Equal(t, redisdb.ErrNil, err)
	})
	t.Run("a command that Redis does not have: its arguments are not in the error", func(t *testing.T) {
		s := redistest.Start(t, "--rename-command", "EVALSHA", "")
		_, err := open(t, redisdb.Config{URL: s.URL}).Eval(ctx, echo, []string{"k"}, "hush", "hush")
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hush")
	})
}

// TestDemoted: a name that leads to another server after a failover, while connections to the old
// one live.
func TestDemoted(t *testing.T) {
	old := redistest.Start(t)
	now := old.AddReplica()
	p := newProxy(t, old.Addr)
	db := open(t, redisdb.Config{URL: "redis://" + p.Addr})
	redisdb.AlwaysShare(db)
	ctx := t.Context()
	set := func(i int) error { return db.Set(ctx, fmt.Sprint(i), []byte("v"), time.Hour) }
	for _, err := range inParallel(64, set) {
		require.NoError(t, err)
	}
	require.NoError(t, now.Client().Do(ctx, "replicaof", "no", "one").Err())
	host, port, _ := net.SplitHostPort(now.Addr)
	require.NoError(t, old.Client().Do(ctx, "replicaof", host, port).Err())
	p.to.Store(now.Addr)
	require.Eventually(t, func() bool {
		return slices.IndexFunc(inParallel(64, set), func(err error) bool { return err != nil }) < 0
	}, recovery, 5*time.Millisecond, "connections that lead to a demoted server are given up")
}

func TestQueueIsBounded(t *testing.T) {
	s := redistest.Start(t)
	db := open(t, redisdb.Config{URL: s.URL})
	redisdb.AlwaysShare(db)
	redisdb.LimitQueue(db, 10)
	require.NoError(t, db.Ping(t.Context()))
	s.Pause()
	busy := slices.DeleteFunc(inParallel(1000, func(int) error { _, err := db.Get(t.Context(), "k"); return err }),
		func(err error) bool { return !errors.Is(err, redisdb.ErrBusy) })
	require.NotEmpty(t, busy)
	require.ErrorIs(t, busy[0], redisdb.ErrUnavailable)
	require.EqualValues(t, len(busy), db.Stats().Refused)
	s.Resume()
	require.Eventually(t, func() bool { _, err := db.Get(t.Context(), "k"); return err == redisdb.ErrNil }, recovery, 5*time.Millisecond)
}

func TestCloseWaits(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s.Addr)
	db, err := redisdb.Open(redisdb.Config{URL: "redis://" + p.Addr})
	require.NoError(t, err)
	require.NoError(t, db.Ping(t.Context()))
	p.delay.Store(int64(100 * time.Millisecond))
	begun := make(chan struct{}, 100)
	done := make(chan []error)
	go func() {
		done <- inParallel(100, func(i int) error {
			begun <- struct{}{}
			return db.Set(context.Background(), fmt.Sprint(i), []byte("v"), time.Hour)
		})
	}()
	for range 100 {
		<-begun
	}
	require.Eventually(t, func() bool { return db.Stats().Underway == 100 }, time.Second, 100*time.Microsecond)
	require.NoError(t, db.Close())
	for _, err := range <-done {
		require.NoError(t, err, "what was under way has ended, not been cut")
	}
}

// TestAnswersReachTheirCallers: no answer goes to another question, whatever happens on the way.
func TestAnswersReachTheirCallers(t *testing.T) {
	s := redistest.Start(t)
	p := newProxy(t, s.Addr)
	db := open(t, redisdb.Config{URL: "redis://" + p.Addr, Timeout: 100 * time.Millisecond})
	ctx := t.Context()
	const keys = 1000
	for i := range keys {
		require.NoError(t, db.Set(ctx, fmt.Sprint(i), []byte(fmt.Sprint(i)), time.Hour))
	}
	stop := make(chan struct{})
	var faults sync.WaitGroup
	faults.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			switch i % 5 {
			case 0:
				s.Pause()
				<-time.After(time.Duration(i%4) * 40 * time.Millisecond) // shorter and longer than the timeout
				s.Resume()
			case 1:
				p.cut()
			case 2:
				p.loseAnswers.Store(3)
			case 3:
				p.delay.Store(int64(time.Duration(i%10) * time.Millisecond))
			case 4:
				p.delay.Store(0)
			}
		}
	})
	wrong, failed, right := hammer(db, 64*1600, keys)
	close(stop)
	faults.Wait()
	t.Logf("S-25 V-31: %d right, %d refused, %d wrong", right, failed, wrong)
	require.Zero(t, wrong, "S-25")
	require.Greater(t, right, 10_000)
}

// hammer asks for keys whose value is their name, in four ways, by 64 workers, some with contexts
// that end.
func hammer(db *redisdb.DB, total, keys int) (wrong, failed, right int) {
	var mu sync.Mutex
	inParallel(64, func(worker int) error {
		for n := range total / 64 {
			i := (n*7919 + worker*104729) % keys
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%5)*time.Millisecond)
			got, err := ask(ctx, db, n, i)
			cancel()
			mu.Lock()
			switch {
			case err == nil && got == fmt.Sprint(i):
				right++
			case errors.Is(err, redisdb.ErrUnavailable):
				failed++
			default:
				wrong++
			}
			mu.Unlock()
			if err != nil { // or the breaker would answer most
				<-time.After(2 * time.Millisecond)
			}
		}
		return nil
	})
	return wrong, failed, right
}

var get = redisdb.NewScript(`return redis.call('GET', KEYS[1])`)

func ask(ctx context.Context, db *redisdb.DB, way, i int) (string, error) {
	key := fmt.Sprint(i)
	switch way % 4 {
	case 0:
		v, err := db.Eval(ctx, get, []string{key})
		text, _ := v.(string)
		return text, err
	case 1:
		v, err := db.MGet(ctx, key, "none{"+key+"}")
		if err != nil {
			return "", err
		}
		return string(v[0]), nil
	case 2:
		return key, db.Set(ctx, key, []byte(key), time.Hour)
	}
	v, err := db.Get(ctx, key)
	return string(v), err
}
