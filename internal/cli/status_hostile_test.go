package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/presence"
)

// TestStatusOfHostileNode: what a node says of itself comes from Redis. It makes no lines.
func TestStatusOfHostileNode(t *testing.T) {
	d := deploymentStatus{Nodes: []nodeStatus{{Node: presence.Node{ID: "e\x1b[31mvil\nx", Listen: "a\nb", NotReady: "gat_abcdefghijklmnop\n\x1b]0;x", Config: "c\nd"}, Here: "no\nanswer"},
		{Node: presence.Node{ID: "sound", Config: "x"}, Ready: true}}, Configurations: map[string][]string{"c\nd": {"e\nvil"}, "x": {"sound"}}}
	text := d.text()
	require.Equal(t, 6, strings.Count(text, "\n"), text)
	require.NotContains(t, text, "\x1b")
	require.NotContains(t, text, "abcdefghijklmnop")
}
