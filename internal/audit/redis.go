package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Bounds of the streams. Refusals of unauthenticated clients have a stream of their own: a flood of
// them pushes no other event out. Both together take at most some 80 MB of Redis.
const (
	redisEvents    = 200_000
	redisStrangers = 20_000
	redisLife      = 90 * 24 * time.Hour // of an event, and of a stream without a new one
)

// The streams, behind the deployment's prefix.
const (
	streamEvents    = "audit"
	streamStrangers = "audit:strangers"
)

// appendLines: KEYS stream. ARGV how many events are kept, their life in milliseconds, lines. The
// last XADD trims what is too old.
var appendLines = redisdb.NewScript(`
local t = redis.call('TIME')
local oldest = string.format('%.0f', t[1] * 1000 - ARGV[2])
for i = 3, #ARGV - 1 do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[i]) end
redis.call('XADD', KEYS[1], 'MINID', '~', oldest, '*', 'event', ARGV[#ARGV])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return #ARGV - 2`)

// NewRedis returns a sink into two Redis streams: "audit", and "audit:strangers" for refusals of
// clients that proved nothing. Each keeps its latest events, for 90 days at most.
func NewRedis(db *redisdb.DB) *Sink {
	s := newSink(appendToStream(db, streamEvents, redisEvents))
	s.strangers = newSink(appendToStream(db, streamStrangers, redisStrangers))
	return s
}

func appendToStream(db *redisdb.DB, stream string, keeps int) func([][]byte) error {
	return func(lines [][]byte) error {
		args := make([]any, 2, 2+len(lines))
		args[0], args[1] = keeps, redisLife.Milliseconds()
		for _, l := range lines {
			args = append(args, l)
		}
		if _, err := db.Once(context.Background(), appendLines, []string{stream}, args...); err != nil {
			return fmt.Errorf("%d events may be lost: %w", len(lines), err)
		}
		return nil
	}
}
