package tokens

import (
	"errors"
	"fmt"
	"time"
)

// APIKey is an API key of a client, as lists show it. Its text is shown once and kept nowhere.
type APIKey struct {
	Hash     Hash // of the text
	Name     string
	Creator  string // who made it: a client of the admin API, or a user of the command line
	ClientID string
	Epoch    Epoch // the client's when the key was made; under another epoch the key has ended
	Scope    string
	Audience []string
	Networks []string  // from where it may be used, as CIDR; empty: from everywhere
	Created  time.Time // whole seconds, by the store's clock
	TTL      time.Duration
	LastUsed time.Time // coarse; zero: never, as far as anybody knows

	recorded bool // its record is there: without it, it has ended
}

// MaxAPIKeys is how many API keys of a client are valid at once.
const MaxAPIKeys = 50

// ErrTooManyKeys: the client has MaxAPIKeys already.
var ErrTooManyKeys = fmt.Errorf("a client has %d API keys at most: revoke one that nobody needs", MaxAPIKeys)

// ErrNoSuchKey: the client has no API key with this id.
var ErrNoSuchKey = errors.New("this client has no API key with this id")

// ID is the key's id, and its jti.
func (k *APIKey) ID() ID { return ID(k.Hash[:16]) }

// ExpiresAt is when the key ends; zero: it has no end.
func (k *APIKey) ExpiresAt() time.Time {
	if k.TTL == 0 {
		return time.Time{}
	}
	return k.Created.Add(k.TTL)
}

// Holds says whether the key is valid now: it has not expired, was not revoked, and the client has
// the epoch that it had when the key was made.
func (k *APIKey) Holds(epoch Epoch, now time.Time) bool {
	return k.recorded && k.Epoch == epoch && epoch != (Epoch{}) && (k.TTL == 0 || now.Before(k.ExpiresAt()))
}

// record is what makes the key active.
func (k *APIKey) record() *Record {
	return &Record{ClientID: k.ClientID, ClientEpoch: k.Epoch, Scope: k.Scope, Audience: k.Audience,
		IssuedAt: k.Created, TTL: k.TTL, NoExpiry: k.TTL == 0, Networks: k.Networks}
}

// The entry of a key in the list of its client: version, when it ends in milliseconds (zeros:
// never), the client's epoch, the second half of the hash, the times, and texts. The first half of
// the hash is the name of the field.
const (
	keyEntryV1 = 1

	atKeyEnds  = 1
	atKeyEpoch = atKeyEnds + timeDigits
	atKeyHash  = atKeyEpoch + len(Epoch{})
	atKeyTimes = atKeyHash + len(Hash{})/2
)

func (k *APIKey) entry() []byte {
	ends := uint64(0)
	if k.TTL != 0 {
		ends = uint64(k.ExpiresAt().UnixMilli()) // #nosec G115 -- after 1970
	}
	dst := appendPadded(append(make([]byte, 0, 256), keyEntryV1), ends, 10, timeDigits)
	dst = append(append(dst, k.Epoch[:]...), k.Hash.secondHalf()...)
	dst = appendTimes(dst, k.record())
	dst = appendText(appendText(dst, k.Name), k.Creator)
	return appendTexts(appendTexts(appendText(dst, k.Scope), k.Audience), k.Networks)
}

// parseKeyEntry reads an entry of a client's list. It returns an error that wraps ErrRecord.
func parseKeyEntry(clientID, id, value string) (*APIKey, error) {
	if len(id) != len(ID{}) || len(value) < atKeyTimes || value[0] != keyEntryV1 {
		return nil, fmt.Errorf("%w: an API key in a list", ErrRecord)
	}
	k := &APIKey{ClientID: clientID, Epoch: Epoch([]byte(value[atKeyEpoch:atKeyHash]))}
	copy(k.Hash[copy(k.Hash[:], id):], value[atKeyHash:])
	d := recordReader{rest: []byte(value[atKeyTimes:])}
	k.Created, k.TTL = d.times()
	k.Name, k.Creator, k.Scope = d.text(), d.text(), d.text()
	k.Audience, k.Networks = d.texts(), d.texts()
	return k, d.end()
}
