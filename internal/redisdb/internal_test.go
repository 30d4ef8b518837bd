package redisdb

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/go-redis/redis/v8"
	"github.com/stretchr/testify/require"
)

type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestWrap(t *testing.T) {
	for text, want := range map[string]error{
		"LOADING Redis is loading the dataset in memory":                                                    ErrUnavailable,
		"READONLY You can't write against a read only replica.":                                             ErrUnavailable,
		"CLUSTERDOWN Hash slot not served":                                                                  ErrUnavailable,
		"MASTERDOWN Link with MASTER is down":                                                               ErrUnavailable,
		"OOM command not allowed when used memory > 'maxmemory'.":                                           ErrUnavailable,
		"NOREPLICAS Not enough good replicas to write.":                                                     ErrUnavailable,
		"MISCONF Redis is configured to save RDB snapshots":                                                 ErrUnavailable,
		"NOAUTH Authentication required.":                                                                   ErrUnavailable,
		"WRONGPASS invalid username-password pair or user is disabled.":                                     ErrUnavailable,
		"NOPERM this user has no permissions to run the 'config' command":                                   ErrUnavailable,
		"BUSY Redis is busy running a script.":                                                              ErrUnavailable,
		"ERR max number of clients reached":                                                                 ErrUnavailable,
		"ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command not allowed": ErrUnavailable,
		"ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -ERR unreadable":          ErrRefused,
		"WRONGTYPE Operation against a key holding the wrong kind of value":                                 ErrRefused,
		"CROSSSLOT Keys in request don't hash to the same slot":                                             ErrRefused,
		"OOMPH no code of Redis":                                                                            ErrRefused,
		"ERR unreadable record":                                                                             ErrRefused,
	} {
		err := wrap(answer(text))
		require.ErrorIs(t, err, want, text)
		require.ErrorContains(t, err, text, "the cause stays, for logs")
		if want == ErrRefused {
			require.NotErrorIs(t, err, ErrUnavailable, text)
		}
	}
	require.NoError(t, wrap(nil))
	require.Equal(t, ErrNil, wrap(redis.Nil))
	broken := errors.New("read tcp: i/o timeout")
	require.ErrorIs(t, wrap(broken), ErrOutcomeUnknown)
	require.ErrorIs(t, wrap(broken), broken)
	require.NotErrorIs(t, wrapRead(broken), ErrOutcomeUnknown, "what changes nothing has no outcome")
	require.ErrorIs(t, wrap(errLost{answer("LOADING")}), ErrOutcomeUnknown, "a refusal behind a lost answer refuses nothing")
	require.NotErrorIs(t, wrap(answer("LOADING")), ErrOutcomeUnknown)
	require.NotErrorIs(t, wrap(&net.OpError{Op: "dial", Err: broken}), ErrOutcomeUnknown, "Redis was not reached")
	require.NotErrorIs(t, wrap(errBroken{broken}), ErrOutcomeUnknown, "Redis was not asked")
	require.ErrorIs(t, wrap(errBroken{broken}), ErrUnavailable)
	require.ErrorIs(t, ErrNotDurable, ErrUnavailable)
	require.ErrorIs(t, ErrBusy, ErrUnavailable)
}

func TestParseSlots(t *testing.T) {
	node := func(host any, rest ...any) []any { return append([]any{host, int64(7000), "id"}, rest...) }
	one := func(n []any) []any { return []any{[]any{int64(0), int64(16383), n}} }
	for name, c := range map[string]struct {
		node []any
		want string
	}{
		"an address":                          {node("10.0.0.1"), "10.0.0.1:7000"},
		"Redis 7, with metadata":              {node("10.0.0.1", []any{}), "10.0.0.1:7000"},
		"IPv6":                                {node("fe80::1"), "[fe80::1]:7000"},
		"a name":                              {node("a.example", []any{"ip", "10.0.0.1"}), "a.example:7000"},
		"NULL: where the seed is":             {node(nil, []any{"ip", "10.0.0.1"}), "seed:7000"},
		"empty: where the seed is":            {node(""), "seed:7000"},
		"a name that is unknown: its address": {node("?", []any{"ip", "10.0.0.1"}), "10.0.0.1:7000"},
		"nothing known":                       {node("?", []any{}), "seed:7000"},
		"Redis 3, without an id":              {[]any{"10.0.0.1", int64(7000)}, "10.0.0.1:7000"},
	} {
		t.Run(name, func(t *testing.T) {
			slots, err := parseSlots(one(c.node), "seed:6379")
			require.NoError(t, err)
			require.Equal(t, []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: c.want}}}}, slots)
		})
	}
	for name, raw := range map[string][]any{
		"no slots":       {},
		"no range":       {"x"},
		"no nodes":       {[]any{int64(0), int64(1)}},
		"odd numbers":    {[]any{"0", int64(1), node("h")}},
		"a node without": {[]any{int64(0), int64(1), []any{"h"}}},
		"a port in text": {[]any{int64(0), int64(1), []any{"h", "7000"}}},
		"a text":         {[]any{int64(0), int64(1), "h:7000"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseSlots(raw, "seed:6379")
			require.ErrorIs(t, err, ErrUnavailable)
		})
	}
}

func TestSlotOf(t *testing.T) {
	for key, want := range map[string]int{"foo": 12182, "{foo}bar": 12182, "a{foo}{bar}": 12182, "123456789": 0x31c3 % slotCount, "": 0} {
		require.Equal(t, want, slotOf(key), key)
	}
	require.NotEqual(t, slotOf("foo"), slotOf("{}foo"), "empty braces are no tag")
	for slot, tag := range slotTags() {
		require.Equal(t, slot, slotOf("wait:{"+tag+"}"))
	}
}

func TestParseReplication(t *testing.T) {
	require.Equal(t, replication{id: "id", online: 1}, parseReplication(strings.ReplaceAll(`role:master
connected_slaves:2
slave0:ip=127.0.0.1,port=1,state=online,offset=1,lag=0
slave1:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0
master_replid:id
`, "\n", "\r\n")))
}

func TestOlder(t *testing.T) {
	require.True(t, older("6.0.16", "6.2"))
	require.False(t, older("6.2.0", "6.2"))
	require.False(t, older("7.0.15", "6.2"))
	require.False(t, older("10.0", "6.2"))
	require.False(t, older("", "6.2"))
	require.Len(t, Report{Version: "5.0.3", Policy: "noeviction", AOF: true}.Warnings(), 1)
	require.Len(t, Report{AOF: true}.Warnings(), 1)
	require.Empty(t, Report{Version: "7.0.15", Policy: "noeviction", AOF: true, State: "ok"}.Warnings())
	require.Len(t, Report{Policy: "noeviction", AOF: true, State: "fail"}.Warnings(), 1)
}

func TestWorstReport(t *testing.T) {
	good := Report{Version: "7.0.15", Policy: "noeviction", Memory: 5, AOF: true, Replicas: 1, State: "ok"}
	require.Equal(t, good, good.worse(good))
	for _, bad := range []Report{
		{Version: "6.0.0", Policy: "allkeys-lru", Memory: 5, State: "fail", Replica: true},
		{Version: "6.0.0", Policy: "", Memory: 0, State: "fail", Replica: true},
	} {
		require.Equal(t, bad, good.worse(bad))
		require.Equal(t, bad, bad.worse(good))
	}
	evicts := Report{Policy: "allkeys-lru", Memory: 5, State: "ok"}
	silent := Report{State: "ok"}
	require.True(t, evicts.worse(silent).Evicts())
	require.True(t, silent.worse(evicts).Evicts())
}
