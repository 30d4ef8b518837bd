package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// Outcome is what an import makes of one registration.
type Outcome string

// The outcomes.
const (
	OutcomeCreate    Outcome = "create"
	OutcomeReplace   Outcome = "replace" // another client has the id, and is replaced
	OutcomeUnchanged Outcome = "unchanged"
	OutcomeExists    Outcome = "exists" // another client has the id, and stays
)

// Import is a set of registrations that are written together, or not at all.
type Import struct {
	manager *Manager
	list    []*imported
}

// imported is one registration of an Import.
type imported struct {
	before, after string
	stored        *Stored
	ended         []string
}

// Wanted is one registration that an import brings.
type Wanted struct {
	*Registration
	Same    func(Secret) bool // whether a stored secret is the one that the registration has
	Seal    func() error      // hashes the secret, once it is known that it is needed
	Replace bool              // what another client with the id holds
}

// NewImport begins an import.
func (m *Manager) NewImport() *Import { return &Import{manager: m} }

// Plan says what would become of a registration, and keeps it for Apply. The epoch is that of the
// client afterwards. Errors are those of Check and of Redis.
func (i *Import) Plan(ctx context.Context, w Wanted) (Outcome, Epoch, error) {
	m := i.manager
	if m.configured(w.ID) != nil {
		return OutcomeExists, Epoch{}, nil
	}
	if CheckID(w.ID) != nil {
		return "", Epoch{}, m.Check(w.Registration)
	}
	before, err := m.Redis.records.Read(ctx, w.ID)
	switch err = ownError(err); {
	case errors.Is(err, ErrUnknown):
		return i.planNew(w)
	case err != nil:
		return "", Epoch{}, err
	}
	held, err := readStored(w.ID, before)
	if err != nil {
		return "", Epoch{}, err
	}
	if len(w.Secrets) > 0 && slices.ContainsFunc(held.Secrets, w.Same) {
		w.Secrets = held.Secrets
	} else if err := w.Seal(); err != nil {
		return "", Epoch{}, err
	}
	if err := m.checkImported(w.Registration); err != nil {
		return "", Epoch{}, err
	}
	if same, err := equal(&held.Registration, w.Registration); same || err != nil {
		return OutcomeUnchanged, held.Epoch, err
	}
	if !w.Replace {
		return OutcomeExists, held.Epoch, nil
	}
	return i.planReplacement(w, held, before)
}

func (m *Manager) checkImported(r *Registration) error {
	return errors.Join(m.Check(r), m.checkSlow(r, nil))
}

func (i *Import) planNew(w Wanted) (Outcome, Epoch, error) {
	if err := w.Seal(); err != nil {
		return "", Epoch{}, err
	}
	if err := i.manager.checkImported(w.Registration); err != nil {
		return "", Epoch{}, err
	}
	now := time.Now()
	s := &Stored{Registration: *w.Registration, Epoch: NewEpoch(), CreatedAt: now, UpdatedAt: now}
	for n := range s.Secrets {
		s.Secrets[n].CreatedAt = now.UTC().Truncate(time.Second)
	}
	text, err := s.text()
	i.list = append(i.list, &imported{after: text, stored: s})
	return OutcomeCreate, s.Epoch, err
}

func (i *Import) planReplacement(w Wanted, held *Stored, before string) (Outcome, Epoch, error) {
	ended, err := held.change(before, func(s *Stored) error {
		if s.Disabled != w.Disabled {
			s.Epoch = NewEpoch()
		}
		s.Registration = *w.Registration
		return nil
	})
	if err != nil {
		return "", Epoch{}, err
	}
	text, err := held.text()
	i.list = append(i.list, &imported{before: before, after: text, stored: held, ended: ended})
	return OutcomeReplace, held.Epoch, err
}

// equal compares two registrations as they are written.
func equal(a, b *Registration) (bool, error) {
	first, err1 := json.Marshal(a)
	second, err2 := json.Marshal(b)
	return bytes.Equal(first, second), errors.Join(err1, err2)
}

// ErrImportOvertaken: somebody changed one of the clients since the import was planned, and nothing
// was written.
var ErrImportOvertaken = errors.New("somebody changed a client while it was being imported, and nothing was written: run the import again")

// ErrImportUnderway: another import is being written.
var ErrImportUnderway = errors.New("another import is being written, and nothing was written by this one: run it again when the other has ended; one that was killed is forgotten after five minutes")

const (
	importKey  = "clients:" + registryTag + ":import"
	importLife = 5 * time.Minute
)

var endImport = redisdb.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// Begin is for who writes something beside the clients before Apply: it keeps other imports from
// that until end is called. Errors are ErrImportUnderway, ErrImportOvertaken, and those of Redis.
func (i *Import) Begin(ctx context.Context) (end func(), err error) {
	m, nonce := i.manager, newNonce()
	ours, err := m.Redis.db.SetNX(ctx, importKey, []byte(nonce), importLife)
	if err != nil {
		return nil, err
	}
	if !ours {
		return nil, ErrImportUnderway
	}
	end = func() { _, _ = m.Redis.db.Eval(context.WithoutCancel(ctx), endImport, []string{importKey}, nonce) }
	if err := i.current(ctx); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// current says whether every client is what it was when the import was planned.
func (i *Import) current(ctx context.Context) error {
	for _, e := range i.list {
		held, err := i.manager.Redis.records.Read(ctx, e.stored.ID)
		if err = ownError(err); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		if held != e.before {
			return ErrImportOvertaken
		}
	}
	return nil
}

// importAll: KEYS ends, change stream, revocation feed, and the shard of each client. ARGV of each
// client: id, what was read (empty for nothing), what shall stand there, when the last secret ends,
// a nonce, a nonce for the feed, the names that end. It returns the id of a client that holds
// neither, and writes nothing then. All keys share a slot, so this is one step in a Cluster too.
var importAll = redisdb.NewScript(feed.AppendFunction() + `
local function held(i) return redis.call('HGET', KEYS[i + 3], ARGV[7 * i - 6]) or '' end
local count = #KEYS - 3
for i = 1, count do
  local now = held(i)
  if now ~= ARGV[7 * i - 5] and now ~= ARGV[7 * i - 4] then return ARGV[7 * i - 6] end
end
for i = 1, count do
  local id, after, ends = ARGV[7 * i - 6], ARGV[7 * i - 4], ARGV[7 * i - 3]
  if held(i) ~= after then
    redis.call('HSET', KEYS[i + 3], id, after)
    if ends == '' then redis.call('ZREM', KEYS[1], id) else redis.call('ZADD', KEYS[1], ends, id) end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ` + fmt.Sprint(feedLength) + `, '*', 'id', id, 'nonce', ARGV[7 * i - 2])
    append_end(KEYS[3], ARGV[7 * i - 1], ARGV[7 * i], id)
  end
end
return ''`)

// Apply writes what was planned, in one step: all of it, or with an error nothing. ErrNotConfirmed
// stands beside what was written; after ErrOutcomeUnknown the import may be repeated.
func (i *Import) Apply(ctx context.Context) error {
	if len(i.list) == 0 {
		return nil
	}
	m := i.manager
	keys := []string{endsKey, feedKey, feed.StreamKey}
	args := make([]any, 0, 7*len(i.list))
	for _, e := range i.list {
		ends := ""
		if at := e.stored.LastSecretEnds(); !at.IsZero() {
			ends = fmt.Sprint(at.Unix())
		}
		keys = append(keys, m.Redis.records.Key(e.stored.ID))
		args = append(args, e.stored.ID, e.before, e.after, ends, newNonce(), feed.Nonce(), feed.Join(e.ended...))
	}
	v, err := m.Redis.db.EvalDurable(ctx, importAll, keys, args...)
	if failed(err) {
		return err
	}
	if other, _ := v.(string); other != "" {
		return ErrImportOvertaken
	}
	for _, e := range i.list {
		m.changed(ctx, e.stored.ID)
	}
	return err
}
