package tokens

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// Errors of a Store. Any other error means that the store could not answer: it is neither a
// "yes" nor a "no", and callers answer 503. Where it wraps an error with the method StoreFault() the log
// and the answer name the store.
var (
	// ErrNotFound: no such token is alive.
	ErrNotFound = errors.New("token not found")
	// ErrFull: a memory store has reached its bound.
	ErrFull = errors.New("the memory store is full")
	// ErrOnlyReads: of BeginServing, which answers all the same, and Serving. Nothing was noted, because the store takes no writes
	// at the moment.
	ErrOnlyReads = errors.New("the store takes no writes")
)

// Call names one call of EndUserOnce.
type Call [8]byte

// NewCall draws a name.
func NewCall() (c Call) {
	rand.Read(c[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return c
}

// RepeatFor is how long a store knows that a call was made.
const RepeatFor = 20 * time.Minute

// Store keeps what tokens rest on. All methods may be called by any number of
// goroutines; each is one round trip, atomic, and safe to repeat: the network layer may
// execute a call twice. Those that take a list are one round trip for every few hundred, and
// atomic for each. An error that is none of the sentinels above leaves the
// outcome unknown; repeating the call settles it.
type Store interface {
	// Now returns the time of the store's clock, by which all in it ends, as well as the node knows it: without a
	// round trip.
	Now() time.Time

	// Issue stores the record of a client's token until Record.ExpiresAt.
	Issue(ctx context.Context, t Token, r *Record) error

	// Load returns the record of a live access token, or ErrNotFound. A user's token is live only with its
	// family and under the user's epoch. The client's epoch is not judged: the caller compares
	// Record.ClientEpoch.
	Load(ctx context.Context, t Token) (*Record, error)

	// Revoke ends an access token alone, or with a refresh token of any generation its whole family, if it was
	// issued to clientID, and reports whether this call ended it. A dead token and another client's are both false without an error
	// (RFC 7009 §2.1, §2.2). When it returns nil, the end is as durable as the store
	// was told to make it.
	Revoke(ctx context.Context, t Token, clientID string) (bool, error)

	// UserEpoch returns a user's epoch, drawing one where there is none, and lets it live for life from
	// now. Log-ins read it before they ask the directory for the last time.
	UserEpoch(ctx context.Context, tag Tag, life time.Duration) (Epoch, error)

	// StartSession stores a session with its first tokens if the user's epoch is still Session.UserEpoch; else it
	// is a *GrantError: somebody logged the user out meanwhile.
	StartSession(ctx context.Context, l *SessionStart) error

	// Session returns the family of a user's token under the user's epoch, or ErrNotFound. It changes nothing and judges
	// neither times nor the client's epoch; Rotate does.
	Session(ctx context.Context, t Token) (*Session, error)

	// Rotate uses a refresh token. In this order: no family; another client's (no effect); epochs and
	// expiry (family ended); this very call again (same success); the current token (rotated); the previous one while its
	// retry response is there (the same answer, nothing written anew) or when an outage of the store let it be over (rotated again); a generation above the
	// family's (Redis lost a rotation: family ended); anything else is reuse (family ended). Refusals are *GrantError, whether or not the end is confirmed.
	Rotate(ctx context.Context, r *Rotation) (*Rotated, error)

	// EndSession ends one family of a user, as Revoke does, whoever's it is, and reports whether it lived.
	EndSession(ctx context.Context, tag Tag, id SessionID) (bool, error)

	// EndUser ends everything of a user at once: every token and family under the present epoch.
	EndUser(ctx context.Context, tag Tag) error

	// EndUserOnce is EndUser for a caller that may repeat it within RepeatFor: a repetition with the same call ends nothing that began
	// after the first.
	EndUserOnce(ctx context.Context, tag Tag, call Call) error

	// Sessions returns the live families of a user, the newest first.
	Sessions(ctx context.Context, tag Tag) ([]*Session, error)

	// ClientEpochs returns the epoch of each client id. A missing one becomes that of held, or is drawn: a store that came back empty gets
	// what nodes knew. With a *redisdb.PartialError the epochs that it calls answered are good.
	ClientEpochs(ctx context.Context, ids []string, held map[string]Epoch) ([]Epoch, error)

	// KeepClientEpochs begins the lifetime of these epochs anew.
	KeepClientEpochs(ctx context.Context, ids []string) error

	// DisableClient puts the zero epoch in the place of a client's: it is disabled wherever it is registered. This change and the next
	// two are named by the random e: a repetition changes nothing, also when others changed the epoch since.
	DisableClient(ctx context.Context, id string, e Epoch) error

	// EnableClient gives e to a client that has the zero epoch, and leaves others as they are.
	EnableClient(ctx context.Context, id string, e Epoch) error

	// RenewClient gives e to a client that has another epoch than zero: every token of that one dies.
	RenewClient(ctx context.Context, id string, e Epoch) error

	// BeginServing says that this node is about to serve the clients and users of these names, and no others of a configuration. It
	// returns those that come back: some node was without them since they were served last, so nothing of them from before may
	// live. And those that go: they were served until now, and not by this configuration. Where something may come back it waits
	// until nodes that go on with it have had the time to say so.
	BeginServing(ctx context.Context, names []ServedName) (back, gone []ServedName, err error)

	// Serving says that this node serves these names now. Nodes say so every few seconds: whose configuration differs takes nothing
	// away from another that goes on.
	Serving(ctx context.Context, names []ServedName) error

	// Once remembers a key for ttl and says whether this call is the first to do so on any node, by the word of what answers. The key
	// holds nothing that a caller chose.
	Once(ctx context.Context, key string, ttl time.Duration) (bool, error)

	// ServerKey returns the deployment's key, or ErrNotFound: nobody made one yet, or the store lost all that it had. It
	// writes nothing.
	ServerKey(ctx context.Context) (ServerKey, error)

	// KeepServerKey stores key where there is none, begins the lifetime of what stands there anew, and returns it.
	KeepServerKey(ctx context.Context, key ServerKey) (ServerKey, error)

	// Ping says whether the store answers.
	Ping(ctx context.Context) error
}
