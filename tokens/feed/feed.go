// Package feed is the stream of ends: every node appends to it what it ends, and every verifier
// that follows learns of it in time. docs/explain/live.md says what it promises, and why.
//
// An end is a name. Names are random, or a hash of something random: they tell a subscriber
// neither a user nor a client, only that something ended.
package feed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

// Retention is how long an end stays in the stream: as long as any access token may live that was
// issued before, and two minutes. It is a constant: a node whose configuration knows only short
// lifetimes must not cut off what another needs.
const Retention = 24*time.Hour + 2*time.Minute

// Names of what has no name of its own. Verifiers drop every answer that they keep, and ask again.
const (
	// OtherRules: other scopes or another not_before are in force. It ends no token, but an answer
	// may say less now. JWTs go on; not_before is sent as a time.
	OtherRules = "*"
	// Nameless: some tokens ended, and nobody can tell which. A JWT from before is refused where
	// nobody can be asked about it.
	Nameless = "?"
)

// Position is a place in the stream: that of an entry, with a nonce of the entry. An entry's number
// can come again after a failover that lost it; a nonce cannot. "" is before the first entry.
type Position string

// Last is the position of the last entry, whichever that is. Only Read takes it, and then finds no
// ends, and where the stream is.
const Last Position = "$"

// End is one entry of the stream.
type End struct {
	Names  []string // see Session, User and Client, and the jti of an access token
	Client string   // id of a registered client whose record changed: nodes read it anew. "": none. It never leaves the nodes
	At     Position // where Read found it; Append takes no notice of it. "": the stream does not say
}

// Page is what a read found.
type Page struct {
	At      Position // up to here
	Reset   bool     // after is not in the stream any more: this page begins at the first entry
	Ends    []End
	More    bool // there are further entries: read on from At
	Enabled bool // every node appends: see Stream.Enable

	first Position // of the entries, named or not
}

// ErrNotEnabled: nodes of an older version may still be there, which end without appending.
var ErrNotEnabled = errors.New("the revocation feed is not enabled: nodes of a version before it may still serve; when none does, run: grantor feed enable")

// Stream is the feed of one deployment. Any number of goroutines may use it.
type Stream interface {
	// Append adds ends in this order. Nil: they are as durable as revocations are.
	Append(ctx context.Context, ends ...End) error

	// Read returns at most most entries behind after. It is causal: what it returns was read after
	// the call began, from a store that is proven to be the primary. An error means that nothing
	// can be said; a caller must take nothing for known.
	Read(ctx context.Context, after Position, most int) (*Page, error)

	// Await returns when there may be an entry behind after, or when ctx ends. It proves nothing
	// and may return early, also with an error: it only saves Read's callers from waiting.
	Await(ctx context.Context, after Position) error

	// Enable says that every node appends. A store that never had a server key is enabled by the
	// first node.
	Enable(ctx context.Context) error

	// Enabled says whether every node appends. It proves less than Read does.
	Enabled(ctx context.Context) (bool, error)

	// Editions gives each client of a configuration its edition: a random value, drawn anew when
	// the client's digest is another than the one known. Where it draws one, it appends the name
	// that the client had. Clients that are known and not in list are forgotten, and their names
	// appended. A client that is not in the answer has no edition, as while nodes have
	// different files; that is an error only where a name had to be appended.
	Editions(ctx context.Context, list []Configured) (map[string]Epoch, error)
}

// Epoch is tokens.Epoch, and clients.Epoch.
type Epoch = [8]byte

// Configured is a client of a configuration file. Digest covers all that its tokens' power rests
// on.
type Configured struct {
	ID     string
	Digest [16]byte
}

// Standing is what a store holds of a client of a configuration, all read at once. The client's
// name is Client(Epoch, Edition).
type Standing struct {
	Epoch   Epoch
	Edition Epoch    // zero: none yet
	Digest  [16]byte // of the registration that has this edition
}

// Session returns the name of a session by its id: sid in tokens and answers.
func Session(id [16]byte) string { return name("session", id[:], nil) }

// User returns the name of a user's present sessions, by the user's epoch: a member of rev.
func User(epoch Epoch) string { return name("user", epoch[:], nil) }

// Client returns the name of a client's present tokens: a member of rev. edition changes whenever
// the client's registration is narrowed, epoch when its tokens end.
func Client(epoch, edition Epoch) string { return name("client", epoch[:], edition[:]) }

// name is the first 64 bits of a hash of random values: 11 characters.
func name(kind string, a, b []byte) string {
	var in [64]byte
	sum := sha256.Sum256(append(append(append(append(in[:0], "grantor "...), kind...), a...), b...))
	return base64.RawURLEncoding.EncodeToString(sum[:8])
}
