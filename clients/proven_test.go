package clients

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

type oneClient struct{ following error }

func (oneClient) Get(context.Context, string) (*Client, error) {
	return &Client{Registration: Registration{ID: "app"}}, nil
}
func (o oneClient) Fresh() error { return o.following }

func TestProven(t *testing.T) {
	cutOff := errors.New("cut off")
	var doubt error
	p := &Proven{Registry: oneClient{}, Proof: func() error { return doubt }}
	c, err := p.Get(t.Context(), "app")
	require.NoError(t, err)
	require.Equal(t, "app", c.ID)
	require.NoError(t, p.Fresh())
	t.Run("S-23 what cannot be proven is refused, however fresh it looks", func(t *testing.T) {
		doubt = cutOff
		_, err := p.Get(t.Context(), "app")
		require.ErrorIs(t, err, ErrStale)
		require.ErrorIs(t, p.Fresh(), ErrStale)
		require.ErrorIs(t, p.Fresh(), cutOff, "for the log")
	})
	doubt = nil
	p.Registry = oneClient{ErrStale}
	require.ErrorIs(t, p.Fresh(), ErrStale, "and what is proven may be behind")
}
