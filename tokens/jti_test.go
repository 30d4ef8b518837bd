package tokens

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJTI(t *testing.T) {
	c := NewCodec(NewServerKey())
	t.Run("RFC 9068 §2.2 the jti of a client's token finds its record", func(t *testing.T) {
		jti, made := c.NewClientJTI()
		found, err := c.ParseJTI(jti, "")
		require.NoError(t, err)
		require.Equal(t, made, found)
		_, err = c.ParseJTI(jti, "u-1")
		require.ErrorIs(t, err, ErrNotOurs, "it is nobody else's")
	})
	t.Run("and that of a user's its session, which it does not show", func(t *testing.T) {
		tag, session := c.Tag("u-1"), NewSessionID()
		one, made := c.NewUserJTI(tag, session)
		two, _ := c.NewUserJTI(tag, session)
		require.NotEqual(t, one, two)
		require.NotEqual(t, one[22:], two[22:])
		require.NotContains(t, one, session.String())
		found, err := c.ParseJTI(one, "u-1")
		require.NoError(t, err)
		require.Equal(t, made, found)
		other, err := c.ParseJTI(one, "u-2")
		require.NoError(t, err)
		require.NotEqual(t, tag, other.Tag)
		for _, bad := range []string{"", one[:43], one + "0", "?" + one[1:], one[:22]} {
			_, err := c.ParseJTI(bad, "u-1")
			require.ErrorIs(t, err, ErrNotOurs)
		}
	})
}
