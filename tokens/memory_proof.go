package tokens

import (
	"context"
	"time"
)

// IssueOnce implements Store.
func (m *Memory) IssueOnce(ctx context.Context, t Token, r *Record, p Proof) error {
	unused, err := m.unused(p, t, m.now())
	if err != nil {
		return err
	}
	if !unused {
		return ErrProofUsed
	}
	return m.Issue(ctx, t, r)
}

// unused says whether a proof was not used before, and remembers it; the zero Proof never was. A
// repetition of the call for the same token finds its own mark.
func (m *Memory) unused(p Proof, t Token, now time.Time) (bool, error) {
	if p.IsZero() {
		return true, nil
	}
	m.proofs.mu.Lock()
	defer m.proofs.mu.Unlock()
	if mark := m.proofs.get(proofKey(p), now); mark != nil {
		return mark == t.ID(), nil
	}
	return true, m.setProof(proofKey(p), item{t.ID(), now.Add(p.TTL)})
}

// setProof stores a proof unless there are as many as the whole store may hold of other entries.
func (m *Memory) setProof(key string, it item) error {
	if len(m.proofs.items) >= m.limit*memoryShards {
		return ErrFull
	}
	m.proofs.items[key] = it
	return nil
}
