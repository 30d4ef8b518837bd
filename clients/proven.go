package clients

import (
	"context"
	"fmt"
)

// Proven is a Registry that answers only while this node can prove that what it reads is the truth.
// Whoever reads from a store that was cut off from the rest is answered as ever, and may follow all
// changes that come there: none comes there any more.
type Proven struct {
	Registry
	Proof func() error // nil: proven lately
}

// Get implements Registry.
func (p *Proven) Get(ctx context.Context, id string) (*Client, error) {
	if p.Proof() != nil {
		return nil, ErrStale
	}
	return p.Registry.Get(ctx, id)
}

// Fresh returns why this node cannot know of all changes.
func (p *Proven) Fresh() error {
	if err := p.Proof(); err != nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	if f, ok := p.Registry.(interface{ Fresh() error }); ok {
		return f.Fresh()
	}
	return nil
}
