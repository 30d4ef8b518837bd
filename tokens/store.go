package tokens

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/tokens/feed"
)

// Errors of a Store. Any other error means that the store could not answer: it is neither a "yes"
// nor a "no", and callers answer 503. Where it wraps an error with the method StoreFault(), the log
// and the response name the store.
var (
	// ErrNotFound: no such token is active. The three below are this error too, and say what is
	// missing. A store may return ErrNotFound alone.
	ErrNotFound = errors.New("token not found")
	// ErrRecordGone: the token's own record has expired, or it was revoked.
	ErrRecordGone = fmt.Errorf("%w: its record is gone", ErrNotFound)
	// ErrSessionGone: the session of a user's token has ended.
	ErrSessionGone = fmt.Errorf("%w: its session has ended", ErrNotFound)
	// ErrUserEnded: every session of the user was ended since the login.
	ErrUserEnded = fmt.Errorf("%w: every session of its user has ended", ErrNotFound)
	// ErrFull: a memory store holds as many entries as it may.
	ErrFull = errors.New("the memory store is full")
	// ErrOnlyReads: of BeginServing, which returns its result all the same, and of Serving. The
	// store accepts no writes at the moment, so it noted nothing.
	ErrOnlyReads = errors.New("the store takes no writes")
)

// Call names one call of EndUserOnce.
type Call [8]byte

// NewCall draws a name.
func NewCall() (c Call) {
	rand.Read(c[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return c
}

// RepeatFor is how long a store remembers a Call.
const RepeatFor = 20 * time.Minute

// Store keeps what tokens depend on. Any number of goroutines may use it. Each method is one round
// trip, atomic, and safe to repeat: the network layer may execute a call twice.
//
// A method with a list makes one round trip for every few hundred elements, and is atomic for each.
// After an error that is none of the sentinels above the outcome is unknown; a repetition settles
// it.
type Store interface {
	// Now returns the time of the store's clock, which decides what has expired. It makes no round
	// trip: the node follows that clock.
	Now() time.Time

	// Issue stores the record of a client's token until Record.ExpiresAt.
	Issue(ctx context.Context, t Token, r *Record) error

	// IssueOnce is Issue for a request with a DPoP proof. Of all calls with one proof, one succeeds on
	// any node; the others store nothing and return ErrProofUsed.
	IssueOnce(ctx context.Context, t Token, r *Record, p Proof) error

	// Load returns the record of an active access token, or ErrNotFound. A user's token is active
	// only with its session and under the user's epoch. The caller compares Record.ClientEpoch.
	Load(ctx context.Context, t Token) (*Record, error)

	// Revoke ends an access token, or with a refresh token its whole session, if clientID has it.
	// It reports whether this call ended it: false, without an error, for an inactive token and
	// another client's (RFC 7009 §2.1, §2.2). Nil: the end is as durable as configured.
	Revoke(ctx context.Context, t Token, clientID string) (bool, error)

	// UserEpoch returns a user's epoch, and draws one where there is none. The epoch expires after
	// ttl. A login reads it before it asks the user directory for the last time.
	UserEpoch(ctx context.Context, tag Tag, ttl time.Duration) (Epoch, error)

	// StartSession stores a session with its first tokens, if the user's epoch is still
	// Session.UserEpoch. Else it returns a *GrantError: the user was logged out meanwhile. With a
	// SessionStart.Proof that was used before it returns ErrProofUsed.
	//
	// It returns the sessions of the user beyond SessionStart.Maximum, the least recently used
	// first, and never the new one. The caller ends them. Logins of one user that run at once may
	// name the same sessions.
	StartSession(ctx context.Context, l *SessionStart) (beyond []SessionID, err error)

	// Session returns the session of a user's token under the user's epoch, or ErrNotFound. It
	// changes nothing, and checks neither times nor the client's epoch; Rotate does.
	Session(ctx context.Context, t Token) (*Session, error)

	// Rotate uses a refresh token. Refusals are *GrantError, but for ErrProofUsed. The checks, in this
	// order:
	//
	//	a proof that was used before      ErrProofUsed, no effect
	//	no session                        refused
	//	another client's session          refused, no effect
	//	another epoch, or expired         refused, session ended
	//	the same call, repeated           the same success
	//	the current token, or one of a    refused, no effect
	//	generation above the session's,
	//	and what it is bound to is not
	//	proved
	//	the current token                 rotated
	//	the previous token, within        the retry response, and nothing is written. Where an
	//	the retry window, by the key      outage let the window pass: rotated again
	//	that it is bound to
	//	a generation above the session's  refused, session ended: the store lost a rotation
	//	anything else                     refused, session ended: reuse
	Rotate(ctx context.Context, r *Rotation) (*Rotated, error)

	// EndSession ends a session of any client, as Revoke does, and reports whether this call ended
	// it.
	EndSession(ctx context.Context, tag Tag, id SessionID) (bool, error)

	// EndUser ends every token and session of a user under the present epoch.
	EndUser(ctx context.Context, tag Tag) error

	// EndUserOnce is EndUser for a caller that may repeat it within RepeatFor: a repetition with
	// the same call ends no session that began after the first.
	EndUserOnce(ctx context.Context, tag Tag, call Call) error

	// Sessions returns the sessions of a user, the newest first.
	Sessions(ctx context.Context, tag Tag) ([]*Session, error)

	// ClientEpochs returns the epoch of each client id. A missing epoch becomes that of held, or is
	// drawn: a store that came back empty gets what nodes knew. With a *redisdb.PartialError the
	// epochs that it calls answered are good.
	ClientEpochs(ctx context.Context, ids []string, held map[string]Epoch) ([]Epoch, error)

	// ClientStandings is ClientEpochs with the editions that Feed().Editions gave.
	ClientStandings(ctx context.Context, ids []string, held map[string]Epoch) ([]feed.Standing, error)

	// KeepClientEpochs extends the lifetime of these epochs.
	KeepClientEpochs(ctx context.Context, ids []string) error

	// DisableClient gives a client the zero epoch: it is disabled, wherever it is registered. The
	// random e names this change and those of the next two methods: a repetition changes nothing,
	// even where others changed the epoch since.
	DisableClient(ctx context.Context, id string, e Epoch) error

	// EnableClient gives e to a client that has the zero epoch, and leaves others as they are.
	EnableClient(ctx context.Context, id string, e Epoch) error

	// RenewClient gives e to a client that is not disabled. Its earlier tokens are then inactive.
	RenewClient(ctx context.Context, id string, e Epoch) error

	// BeginServing says that this node is about to serve the clients and users of these names, and
	// no others of a configuration. It returns the names that come back: since a node served them
	// last, a configuration was without them, so nothing of theirs from before may be active. It
	// returns the names that go: nodes served them until now, and this configuration does not.
	// Where a name may come back, it waits until other nodes had the time to say that they serve
	// it.
	BeginServing(ctx context.Context, names []ServedName) (back, gone []ServedName, err error)

	// Serving says that this node serves these names now. Nodes repeat it every ServedEvery, so
	// that no node with another configuration ends what they serve.
	Serving(ctx context.Context, names []ServedName) error

	// Once remembers a key for ttl, and says whether this call is the first with it on any node. A
	// caller never chooses a part of the key.
	Once(ctx context.Context, key string, ttl time.Duration) (bool, error)

	// ServerKey returns the deployment's key, or ErrNotFound: no node made one yet, or the store
	// lost its data. It writes nothing.
	ServerKey(ctx context.Context) (ServerKey, error)

	// KeepServerKey stores key where there is none, extends the lifetime of the stored key, and
	// returns that key.
	KeepServerKey(ctx context.Context, key ServerKey) (ServerKey, error)

	// Feed is the stream of ends. Every method above that ends something appends to it before it
	// returns nil.
	Feed() feed.Stream

	// Ping returns nil if the store answers.
	Ping(ctx context.Context) error
}
