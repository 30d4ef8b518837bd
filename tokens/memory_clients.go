package tokens

import (
	"context"
	"crypto/rand"

	"github.com/grantor-auth/grantor/tokens/feed"
)

// memoryStream is the feed of a Memory.
type memoryStream struct {
	*feed.Memory
	store *Memory
}

// Feed implements Store.
func (m *Memory) Feed() feed.Stream { return memoryStream{m.feed, m} }

// ended appends a name to the feed, of what the caller ends under a lock of its own; nobody takes
// such a lock under the feed's.
func (m *Memory) ended(name string) {
	_ = m.feed.Append(context.Background(), feed.End{Names: []string{name}}) // it never fails
}

// ClientEpochs implements Store.
func (m *Memory) ClientEpochs(ctx context.Context, ids []string, held map[string]Epoch) ([]Epoch, error) {
	standings, err := m.ClientStandings(ctx, ids, held)
	return epochsOf(standings), err
}

// ClientStandings implements Store.
func (m *Memory) ClientStandings(_ context.Context, ids []string, held map[string]Epoch) ([]feed.Standing, error) {
	m.epochs.Lock()
	defer m.epochs.Unlock()
	found := make([]feed.Standing, len(ids))
	for i, id := range ids {
		e, ok := m.clients[id]
		if !ok {
			e = &clientEpoch{}
			if e.Epoch, ok = held[id]; !ok {
				e.Epoch = newEpoch()
			}
			m.clients[id] = e
		}
		found[i] = e.Standing
	}
	return found, nil
}

// KeepClientEpochs implements Store: epochs do not expire here.
func (m *Memory) KeepClientEpochs(context.Context, []string) error { return nil }

// DisableClient implements Store.
func (m *Memory) DisableClient(_ context.Context, id string, e Epoch) error {
	return m.changeEpoch(id, disableEpoch, e)
}

// EnableClient implements Store.
func (m *Memory) EnableClient(_ context.Context, id string, e Epoch) error {
	return m.changeEpoch(id, enableEpoch, e)
}

// RenewClient implements Store.
func (m *Memory) RenewClient(_ context.Context, id string, e Epoch) error {
	return m.changeEpoch(id, renewEpoch, e)
}

func (m *Memory) changeEpoch(id string, how epochChange, change Epoch) error {
	m.epochs.Lock()
	defer m.epochs.Unlock()
	e, known := m.clients[id]
	if !known {
		e = &clientEpoch{Standing: feed.Standing{Epoch: newEpoch()}}
		m.clients[id] = e
	}
	if before := e.name(); e.apply(how, change) && known && before != "" {
		m.ended(before)
	}
	return nil
}

// Editions implements feed.Stream.
func (f memoryStream) Editions(_ context.Context, list []feed.Configured) (map[string]Epoch, error) {
	m := f.store
	m.epochs.Lock()
	defer m.epochs.Unlock()
	digests, found := map[string][16]byte{}, map[string]Epoch{}
	for _, c := range list {
		digests[c.ID] = c.Digest
	}
	for id, e := range m.clients {
		before, known := e.name(), e.Edition != Epoch{}
		digest, mine := digests[id]
		if mine && known && digest == e.Digest {
			found[id] = e.Edition
			continue
		}
		if known && before != "" {
			m.ended(before)
		}
		e.Edition, e.Digest = Epoch{}, digest
		if mine {
			e.Edition = newEpoch()
			found[id] = e.Edition
		}
	}
	return found, nil
}

func newEpoch() (e Epoch) {
	rand.Read(e[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return e
}
