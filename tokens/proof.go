package tokens

import (
	"errors"
	"time"
)

// ErrProofUsed: the request's DPoP proof was used before (RFC 9449 §11.1). The call had no effect.
var ErrProofUsed = errors.New("the DPoP proof was used before")

// Proof names the DPoP proof of a request. A store accepts each proof once, on any node: the
// command that issues a token remembers the proof first. The zero value names none.
type Proof struct {
	id [16]byte
	// TTL is how long the store remembers the proof: until its age refuses it.
	TTL time.Duration
}

// NewProof names a proof by a hash of its key's thumbprint and its jti: another key may use the
// same jti.
func NewProof(name [32]byte, ttl time.Duration) Proof {
	return Proof{[16]byte(name[:16]), max(ttl, time.Millisecond)}
}

// IsZero says whether there is no proof.
func (p Proof) IsZero() bool { return p.TTL == 0 }
