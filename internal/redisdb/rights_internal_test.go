package redisdb

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRightsAreThoseOfThePage: what Rights asks for is what docs/operate/redis.md tells operators
// to give, without what a connection needs and what asks for the rights.
func TestRightsAreThoseOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operate/redis.md")
	require.NoError(t, err)
	var given []string
	for word := range strings.FieldsSeq(regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindString(string(page))) {
		if name, is := strings.CutPrefix(word, "+"); is {
			given = append(given, name)
		}
	}
	asked := []string{"eval", "info", "auth", "select", "client|setname", "readonly", "asking", "cluster|slots", "cluster|info", "cluster|nodes", "command"}
	for _, r := range slices.Concat(direct(), scripted("k")) {
		asked = append(asked, r.name)
	}
	require.ElementsMatch(t, given, asked)
}

func TestParseServer(t *testing.T) {
	s := parseServer("redis_version:6.0.16\r\nredis_mode:standalone\r\nloading:1\r\nused_memory:100\r\nmaxmemory:400\r\nrole:master\r\nconnected_slaves:3\r\n" +
		"slave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=0\r\nslave1:ip=10.0.0.3,port=6379,state=online,offset=300,lag=7\r\n" +
		"slave2:ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=90\r\nmaster_repl_offset:1000\r\naof_last_write_status:err\r\nrdb_last_bgsave_status:ok\r\n")
	require.True(t, s.Old(), "nothing is tested on 6.0")
	require.True(t, s.Loading)
	require.Equal(t, []int64{100, 400, 2, 3, 700}, []int64{s.Used, s.Memory, int64(s.Replicas), int64(s.Attached), s.Behind})
	require.Equal(t, "7s", s.Lag.String(), "only a replica in step can lag")
	require.Equal(t, []string{"append-only file"}, s.Unsaved)
}
