package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// RunServed runs the part of the suite that is about what configurations serve.
func RunServed(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	x, y, z := tokens.ClientName("x"), tokens.ClientName("y"), tokens.UserName("x")
	// serve has a node serve some names, and returns what came back and what went.
	serve := func(t *testing.T, s tokens.Store, names ...tokens.ServedName) (back, gone []tokens.ServedName) {
		t.Helper()
		time.Sleep(2 * time.Millisecond) // times are in milliseconds
		back, gone, err := s.BeginServing(t.Context(), names)
		require.NoError(t, err)
		require.NoError(t, s.Serving(t.Context(), names))
		return back, gone
	}
	none := func(t *testing.T, back, gone []tokens.ServedName) {
		t.Helper()
		require.Empty(t, back)
		require.Empty(t, gone)
	}
	t.Run("V-34 what was taken out of the configuration comes back once", func(t *testing.T) {
		s := open(t)()
		back, gone := serve(t, s, x, y, z)
		none(t, back, gone)
		back, gone = serve(t, s, y)
		require.Empty(t, back)
		require.ElementsMatch(t, []tokens.ServedName{x, z}, gone)
		back, gone = serve(t, s, y)
		none(t, back, gone)
		back, gone = serve(t, s, z, y, x)
		require.ElementsMatch(t, []tokens.ServedName{x, z}, back)
		require.Empty(t, gone)
		back, gone = serve(t, s, x, y, z)
		none(t, back, gone)
	})
	t.Run("a configuration without anything, and back", func(t *testing.T) {
		s := open(t)()
		serve(t, s, x)
		_, gone := serve(t, s)
		require.Equal(t, []tokens.ServedName{x}, gone)
		back, _ := serve(t, s, x)
		require.Equal(t, []tokens.ServedName{x}, back)
	})
}

// RunServedByMany is about nodes with different configurations: a store of one node has none.
func RunServedByMany(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	testNothingComesBack(t, open)
	testComesBack(t, open)
}

// begin has a node begin to serve names, and returns those that come back.
func begin(t *testing.T, s tokens.Store, names ...tokens.ServedName) []tokens.ServedName {
	t.Helper()
	time.Sleep(2 * time.Millisecond) // times are in milliseconds
	back, _, err := s.BeginServing(t.Context(), names)
	require.NoError(t, err)
	return back
}

// beat has a node say that it serves names.
func beat(t *testing.T, s tokens.Store, names ...tokens.ServedName) {
	t.Helper()
	time.Sleep(2 * time.Millisecond)
	require.NoError(t, s.Serving(t.Context(), names))
}

// testNothingComesBack: while a node serves a name, no other node's configuration takes it away.
func testNothingComesBack(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	x, y, z := tokens.ClientName("x"), tokens.ClientName("y"), tokens.ClientName("z")
	t.Run("all nodes stop and start: nothing comes back", func(t *testing.T) {
		node := open(t)
		for range 3 {
			for range 2 {
				s := node()
				require.Empty(t, begin(t, s, x, y))
				beat(t, s, x, y)
			}
		}
	})
	t.Run("two nodes with different files start again by turns: nothing comes back while either serves it", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		require.Empty(t, begin(t, a, x, y))
		beat(t, a, x, y)
		for range 3 {
			require.Empty(t, begin(t, b, x, z))
			beat(t, b, x, z)
			beat(t, a, x, y)
			require.Empty(t, begin(t, a, x, y))
			beat(t, a, x, y)
			beat(t, b, x, z)
		}
	})
	t.Run("a new client, rolled out: a node that begins with the old file meanwhile takes nothing away", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		begin(t, a, x)
		beat(t, a, x)
		begin(t, b, x)
		beat(t, b, x)
		require.Empty(t, begin(t, a, x, y))
		beat(t, a, x, y)
		require.Empty(t, begin(t, b, x), "it crashed, and begins with the old file")
		beat(t, b, x)
		beat(t, a, x, y)
		require.Empty(t, begin(t, b, x, y))
		beat(t, b, x, y)
	})
}

// testComesBack: a name comes back once some node was without it and no node serves it.
func testComesBack(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	x, y := tokens.ClientName("x"), tokens.ClientName("y")
	t.Run("V-34 taken out node by node, put back node by node: it comes back at the first, and at no other", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		for _, s := range []tokens.Store{a, b} {
			begin(t, s, x, y)
			beat(t, s, x, y)
		}
		begin(t, a, x)
		beat(t, a, x)
		beat(t, b, x, y) // b has the old file still, and issues for y
		begin(t, b, x)
		beat(t, b, x)
		require.Equal(t, []tokens.ServedName{y}, begin(t, a, x, y))
		beat(t, a, x, y)
		require.Empty(t, begin(t, b, x, y))
	})
	t.Run("V-34 a node that was killed and starts with another file, and again with the old one", func(t *testing.T) {
		node := open(t)
		s := node()
		begin(t, s, x, y)
		beat(t, s, x, y)
		s = node()
		begin(t, s, x)
		beat(t, s, x)
		s = node()
		require.Equal(t, []tokens.ServedName{y}, begin(t, s, x, y))
	})
	t.Run("V-34 a node that fails between the two steps: it comes back again", func(t *testing.T) {
		node := open(t)
		s := node()
		begin(t, s, x, y)
		beat(t, s, x, y)
		begin(t, s, x)
		beat(t, s, x)
		require.Equal(t, []tokens.ServedName{y}, begin(t, s, x, y))
		require.Equal(t, []tokens.ServedName{y}, begin(t, node(), x, y))
	})
}
