package faults_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dialNode opens a connection of its own to a node.
func dialNode(t *testing.T, n *node) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", n.Addr, 10*time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// readAll is what comes until the node closes; it must, within half a minute.
func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(35 * time.Second))
	b, err := io.ReadAll(c)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "the connection stays open: %.200s", b)
	if err != nil {
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	return string(b)
}
