package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var walked = []string{"./server", "./store"}

func TestWalk(t *testing.T) {
	w, err := newWalk("testdata/walk", walked, []string{"Memory"})
	require.NoError(t, err)
	require.NoError(t, w.from("server.(*Server).Token"))
	require.Equal(t, []string{"server/token.go", "server/errors.go", "server/grant.go",
		"server/measured.go", "store/wrapper.go", "store/redis.go"}, w.rooms)
	require.Equal(t, []climb{
		{"server/grant.go", "server/token.go", "server.known", true},
		{"server/grant.go", "server/errors.go", "server.refuse", false},
	}, w.climbs, "each pair once")

	require.NoError(t, w.from("server.CalledBack"), "a second start goes on with the same walk")
	require.Equal(t, "server/alone.go", w.rooms[len(w.rooms)-1])
	require.Len(t, w.rooms, 7, "a file that nobody calls is no room")
}

func TestWalkSkips(t *testing.T) {
	w, err := newWalk("testdata/walk", walked, nil)
	require.NoError(t, err)
	require.NoError(t, w.from("server.(*Server).Token"))
	require.Contains(t, w.rooms, "store/memory.go", "it implements the interface as well")
}

func TestWalkPrints(t *testing.T) {
	var out strings.Builder
	starts := []string{"server.(*Server).Token"}
	require.NoError(t, printWalk(&out, "testdata/walk", starts, walked, []string{"Memory"}))
	require.Contains(t, out.String(), "6 rooms, 2 climbs back (1 to a room that waits for the answer), 7 functions\n")
	require.Contains(t, out.String(), "climb: server/grant.go → server/token.go (server.known)\n")
}

func TestWalkRefuses(t *testing.T) {
	refused := func(start, pattern, says string) {
		err := printWalk(&strings.Builder{}, "testdata/walk", []string{start}, []string{pattern}, nil)
		require.ErrorContains(t, err, says)
	}
	refused("server.Nobody", "./server", "no function server.Nobody")
	refused("server.CalledBack", "./nowhere", "nowhere")
}
