package audit

import (
	"context"
	"fmt"

	"github.com/grantor-auth/grantor/redisdb"
)

// redisKeeps is about how many events the stream holds.
const redisKeeps = 1_000_000

// appendLines: KEYS stream. ARGV how many events are kept, lines.
var appendLines = redisdb.NewScript(`
for i = 2, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[i]) end
return #ARGV - 1`)

// NewRedis returns a sink into a Redis stream, "audit" behind the deployment's prefix, that keeps about the last million events.
func NewRedis(db *redisdb.DB) *Sink {
	return newSink(func(lines [][]byte) error {
		args := make([]any, 1, 1+len(lines))
		args[0] = redisKeeps
		for _, l := range lines {
			args = append(args, l)
		}
		if _, err := db.Once(context.Background(), appendLines, []string{"audit"}, args...); err != nil {
			return fmt.Errorf("%d events may be lost: %w", len(lines), err)
		}
		return nil
	})
}
