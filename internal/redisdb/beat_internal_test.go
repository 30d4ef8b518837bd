package redisdb

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBeatOfOneNode(t *testing.T) {
	at := time.Now()
	var b Beat
	beat := func(after time.Duration) { b.note(at.Add(after), at.Add(after), [3]int64{1000, 0, 0}) }
	beat(0)
	beat(outageAfter)
	length, _ := b.Outage()
	require.Zero(t, length)
	beat(time.Minute)
	length, returned := b.Outage()
	require.Equal(t, time.Minute-outageAfter, length, "Redis was there, and this node could not reach it")
	require.Equal(t, at.Add(time.Minute), returned)
	b.note(at.Add(time.Minute), at.Add(time.Minute), [3]int64{600_000, 500_000, 560_000})
	length, returned = b.Outage()
	require.Equal(t, at.Add(time.Minute), returned, "the one that ended later")
	require.Equal(t, 100*time.Second, length, "joined with the other, which began before")
}
