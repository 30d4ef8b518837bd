package tokens

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrefixOf(t *testing.T) {
	c := NewCodec(NewServerKey())
	access, _ := c.NewClientAccess()
	user, _ := c.NewUserAccess(Tag{1}, SessionID{2})
	refresh, _ := c.NewRefresh(Tag{1}, SessionID{2}, 3)
	for text, want := range map[string]string{access: PrefixAccess, user: PrefixAccess, refresh: PrefixRefresh,
		NewSecret(): PrefixSecret, NewRegistrationToken(): PrefixRegistration} {
		prefix, intact := PrefixOf(text)
		require.Equal(t, want, prefix)
		require.True(t, intact, prefix)
		for _, broken := range []string{text[:len(text)-1], text + "0", text[:10] + "_" + text[11:], text[:4]} {
			prefix, intact = PrefixOf(broken)
			require.Equal(t, want, prefix)
			require.False(t, intact, broken)
		}
	}
	for _, text := range []string{"", "gat", "ey.x.y", "GAT_", "abc_def"} {
		prefix, intact := PrefixOf(text)
		require.Empty(t, prefix, text)
		require.False(t, intact)
	}
}
