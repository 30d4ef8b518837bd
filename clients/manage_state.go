package clients

import (
	"context"
	"fmt"
)

// Client returns a client with the epoch that it has now, or ErrUnknown. It asks the store, and
// remembers nothing.
func (m *Manager) Client(ctx context.Context, id string) (*Client, error) {
	c := m.configured(id)
	if c == nil {
		return m.Redis.client(ctx, id)
	}
	epochs, err := m.Epochs.ClientEpochs(ctx, []string{id}, nil)
	if err != nil {
		return nil, err
	}
	return c.at(current{epoch: epochs[0]}), nil
}

// SetDisabled disables or enables a client. Disabling ends its tokens for ever; who is enabled
// again must ask for new ones.
func (m *Manager) SetDisabled(ctx context.Context, id string, disabled bool) error {
	defer m.changed(ctx, id)
	if c := m.configured(id); c != nil {
		switch {
		case disabled:
			return m.Epochs.DisableClient(ctx, c.ID, NewEpoch())
		case c.Disabled:
			return fmt.Errorf("%w: it says disabled = true", ErrReadOnly)
		}
		return m.Epochs.EnableClient(ctx, c.ID, NewEpoch())
	}
	_, err := m.Redis.Change(ctx, id, func(s *Stored) error {
		if s.Disabled != disabled {
			s.Disabled, s.Epoch = disabled, NewEpoch()
		}
		return nil
	})
	return err
}

// RevokeTokens ends every token of a client, and every session made through it; the client itself
// goes on. A disabled client has none, and stays disabled.
func (m *Manager) RevokeTokens(ctx context.Context, id string) error {
	defer m.changed(ctx, id)
	if m.configured(id) != nil {
		return m.Epochs.RenewClient(ctx, id, NewEpoch())
	}
	_, err := m.Redis.Change(ctx, id, func(s *Stored) error { s.Epoch = NewEpoch(); return nil })
	return err
}
