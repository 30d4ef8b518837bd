package tokens

import (
	"context"
	"errors"
)

// Errors of a Store. Any other error means that the store could not answer: it is neither a
// "yes" nor a "no", and callers answer 503.
var (
	// ErrNotFound: no such token is alive.
	ErrNotFound = errors.New("token not found")
	// ErrFull: a memory store has reached its bound.
	ErrFull = errors.New("the memory store is full")
)

// Store keeps what tokens rest on. All methods may be called by any number of
// goroutines; each is one round trip, atomic, and safe to repeat: the network layer may
// execute a call twice. An error that is none of the sentinels above leaves the
// outcome unknown; repeating the call settles it.
type Store interface {
	// Issue stores the record of a client's token for its TTL.
	Issue(ctx context.Context, t Token, r *Record) error

	// Load returns the record of a live client's token, or ErrNotFound. It does not judge epochs:
	// the caller compares Record.ClientEpoch.
	Load(ctx context.Context, t Token) (*Record, error)

	// Revoke ends a client's token if it was issued to clientID, and reports whether this
	// call ended it. A dead token and another client's are both false without an error
	// (RFC 7009 §2.1, §2.2). When it returns nil, the end is as durable as the store
	// was told to make it.
	Revoke(ctx context.Context, t Token, clientID string) (bool, error)

	// ClientEpochs returns the epoch of each client id, drawing those that are missing.
	ClientEpochs(ctx context.Context, ids []string) ([]Epoch, error)

	// ServerKey returns the deployment's key, making it at the first call ever.
	ServerKey(ctx context.Context) (ServerKey, error)

	// Ping says whether the store answers.
	Ping(ctx context.Context) error
}
