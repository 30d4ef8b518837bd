//go:build unix

package redisdb_test

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// BenchmarkCommands compares commands alone with commands that travel together, by how many
// goroutines give them at one moment:
//
//	go test -run - -bench Commands -benchmem ./redisdb
//
// cpu-µs/op is what the client's process burns, system calls included.
func BenchmarkCommands(b *testing.B) {
	s := redistest.Start(b)
	value := make([]byte, 96)
	for _, alone := range []bool{true, false} {
		db := open(b, redisdb.Config{URL: s.URL, Prefix: "grantor:", NoCoalescing: alone})
		for _, goroutines := range []int{1, 2, 4, 8, 16, 64, 256} {
			for name, command := range map[string]func(i int64) error{
				"SET": func(i int64) error { return db.Set(b.Context(), key(i), value, time.Hour) },
				"GET": func(i int64) error { _, err := db.Get(b.Context(), key(i)); return err },
			} {
				b.Run(fmt.Sprintf("%s/goroutines=%d/alone=%t", name, goroutines, alone), func(b *testing.B) {
					for i := range int64(1000) {
						require.NoError(b, db.Set(b.Context(), key(i), value, time.Hour))
					}
					b.ReportAllocs()
					measure(b, goroutines, command)
				})
			}
		}
	}
}

func key(i int64) string { return fmt.Sprintf("t:%032d", i%1000) }

// measure shares b.N commands among goroutines.
func measure(b *testing.B, goroutines int, command func(int64) error) {
	var next atomic.Int64
	b.ResetTimer()
	before := cpu(b)
	for _, err := range inParallel(goroutines, func(int) error {
		for {
			i := next.Add(1)
			if i > int64(b.N) {
				return nil
			}
			if err := command(i); err != nil {
				return err
			}
		}
	}) {
		require.NoError(b, err)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// cpu is what this process has burned.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
