package tokens_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// model is what a session should be, said as simply as possible. Windows and lives are far longer
// than a run, so time decides nothing here; storetest proves what time does.
type model struct {
	ended        bool
	generation   uint32
	current      tokens.Token
	previous     *tokens.Rotation // the rotation that made current
	last         *tokens.Rotation // the newest call, for repeating
	everUsed     []tokens.Token   // used up before previous
	active       map[tokens.Token]bool
	firstGone    bool           // the access token in the response was revoked
	responseGone bool           // the retry response is over
	superseded   []tokens.Token // by a new pair after an outage
	clientEpoch  tokens.Epoch
}

// machine drives two nodes of a store and the model by the same random steps.
type machine struct {
	nodes []tokens.Store
	world
	codec *tokens.Codec
	tag   tokens.Tag
	fam   tokens.SessionID
	m     model
}

// world is what happens around a store.
type world struct {
	loseBox func(t *rapid.T, tag tokens.Tag, id tokens.SessionID)
	outage  func(length time.Duration) // one that has just ended; 0: none
}

func (w *machine) node(t *rapid.T) tokens.Store {
	return w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")]
}

func (w *machine) rotation(old tokens.Token) *tokens.Rotation {
	_, next := w.codec.NewRefresh(w.tag, w.fam, old.Generation+1)
	_, access := w.codec.NewUserAccess(w.tag, w.fam)
	return &tokens.Rotation{Old: old, New: next, ClientID: "app", ClientEpoch: w.m.clientEpoch, IdleTTL: time.Hour, RetryWindow: time.Hour, Access: access,
		Record: &tokens.Record{Scope: "s", IssuedAt: time.Now().Truncate(time.Second), TTL: time.Hour}, RetryResponse: append([]byte("response"), access.Hash[:]...)}
}

// call rotates, and says the reason of a refusal, "" for success.
func (w *machine) call(t *rapid.T, r *tokens.Rotation) (*tokens.Rotated, tokens.Reason) {
	out, err := w.node(t).Rotate(t.Context(), r)
	var g *tokens.GrantError
	if errors.As(err, &g) {
		return nil, g.Reason
	}
	if err != nil {
		t.Fatalf("rotate: %v", err)
	}
	return out, ""
}

func (w *machine) want(t *rapid.T, got, want tokens.Reason) {
	if w.m.ended {
		want = tokens.ReasonNoSession
	}
	if got != want {
		t.Fatalf("refused with %q, the model says %q", got, want)
	}
}

func (w *machine) end() {
	w.m.ended = true
	clear(w.m.active)
}

// retry uses the previous token: the answer is in the retry response while that is there, with an
// access token of its own for another question.
func (w *machine) retry(t *rapid.T, r *tokens.Rotation) {
	if w.m.responseGone {
		w.late(t, r)
		return
	}
	out, why := w.call(t, r)
	if w.m.firstGone {
		w.want(t, why, tokens.ReasonAccessGone)
		return
	}
	w.want(t, why, "")
	if out == nil {
		return
	}
	if string(out.RetryResponse) != string(w.m.previous.RetryResponse) || out.NewAccess != (r.RequestHash != w.m.previous.RequestHash) {
		t.Fatal("a retry got another answer")
	}
	if out.NewAccess {
		w.m.active[r.Access] = true
	}
}

// late retries with the previous token when its retry response is over: after an outage there is a
// new pair of the same generation, else it is reuse.
func (w *machine) late(t *rapid.T, r *tokens.Rotation) {
	forgiven := rapid.Bool().Draw(t, "through an outage")
	if forgiven {
		w.outage(time.Minute)
	}
	out, why := w.call(t, r)
	w.outage(0)
	if !forgiven || w.m.ended {
		w.want(t, why, tokens.ReasonReuse)
		w.end()
		return
	}
	w.want(t, why, "")
	if out.RetryResponse != nil || !out.Reissued {
		t.Fatal("a late retry was not answered by a new pair")
	}
	w.m.superseded = append(w.m.superseded, w.m.current)
	w.m.previous, w.m.last, w.m.current, w.m.firstGone, w.m.responseGone = r, r, r.New, false, false
	w.m.active[r.Access] = true
}

func (w *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"rotate": func(t *rapid.T) {
			r := w.rotation(w.m.current)
			_, why := w.call(t, r)
			w.want(t, why, "")
			if w.m.ended {
				return
			}
			if w.m.previous != nil {
				w.m.everUsed = append(w.m.everUsed, w.m.previous.Old)
			}
			w.m.previous, w.m.last, w.m.current, w.m.firstGone, w.m.responseGone = r, r, r.New, false, false
			w.m.generation++
			w.m.active[r.Access] = true
		},
		"the network repeats the newest call": func(t *rapid.T) {
			if w.m.last == nil {
				return
			}
			out, why := w.call(t, w.m.last)
			w.want(t, why, "")
			if out != nil && out.RetryResponse != nil {
				t.Fatal("a repeated call was taken for a retry")
			}
		},
		"retry with the previous token": func(t *rapid.T) {
			if w.m.previous != nil {
				w.retry(t, w.rotation(w.m.previous.Old))
			}
		},
		"retry with another scope": func(t *rapid.T) {
			if w.m.previous != nil {
				r := w.rotation(w.m.previous.Old)
				r.RequestHash = [16]byte{1}
				w.retry(t, r)
			}
		},
		"reuse of an older token": func(t *rapid.T) {
			if len(w.m.everUsed) == 0 {
				return
			}
			_, why := w.call(t, w.rotation(rapid.SampledFrom(w.m.everUsed).Draw(t, "old")))
			w.want(t, why, tokens.ReasonReuse)
			w.end()
		},
		"a token of a generation that was lost": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
				return
			}
			_, ahead := w.codec.NewRefresh(w.tag, w.fam, w.m.generation+5)
			_, why := w.call(t, w.rotation(ahead))
			w.want(t, why, tokens.ReasonLostRotation)
			w.end()
		},
		"the retry response is over": func(t *rapid.T) {
			if w.m.previous != nil && !w.m.ended {
				w.loseBox(t, w.tag, w.fam)
				w.m.responseGone = true
			}
		},
		"a token that a new pair replaced after an outage": func(t *rapid.T) {
			if len(w.m.superseded) == 0 {
				return
			}
			w.outage(time.Minute) // no outage forgives this
			_, why := w.call(t, w.rotation(rapid.SampledFrom(w.m.superseded).Draw(t, "superseded")))
			w.outage(0)
			w.want(t, why, tokens.ReasonReuse)
			w.end()
		},
		"another client": func(t *rapid.T) {
			r := w.rotation(w.m.current)
			r.ClientID = "other"
			_, why := w.call(t, r)
			w.want(t, why, tokens.ReasonOtherClient)
		},
		"revoke an access token": func(t *rapid.T) {
			for a := range w.m.active {
				if _, err := w.node(t).Revoke(t.Context(), a, "app"); err != nil {
					t.Fatal(err)
				}
				delete(w.m.active, a)
				if w.m.previous != nil && a == w.m.previous.Access {
					w.m.firstGone = true
				}
				return
			}
		},
		"revoke the session": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
				return
			}
			ended, err := w.node(t).Revoke(t.Context(), w.m.current, "app")
			if err != nil || ended == w.m.ended {
				t.Fatalf("ended %v, ended before %v: %v", ended, w.m.ended, err)
			}
			w.end()
		},
		"log out everywhere": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
				return
			}
			if err := w.node(t).EndUser(t.Context(), w.tag); err != nil {
				t.Fatal(err)
			}
			_, why := w.call(t, w.rotation(w.m.current))
			w.want(t, why, tokens.ReasonEnded)
			w.end()
		},
		"the client is disabled": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
				return
			}
			r := w.rotation(w.m.current)
			r.ClientEpoch = tokens.Epoch{9}
			_, why := w.call(t, r)
			w.want(t, why, tokens.ReasonEnded)
			w.end()
		},
		"": func(t *rapid.T) { // after every step: the same tokens are active
			s := w.node(t)
			for a := range w.m.active {
				if _, err := s.Load(t.Context(), a); err != nil {
					t.Fatalf("a token that should be active: %v", err)
				}
			}
			if w.m.previous != nil && !w.m.active[w.m.previous.Access] {
				if _, err := s.Load(t.Context(), w.m.previous.Access); !errors.Is(err, tokens.ErrNotFound) {
					t.Fatalf("a token that should be inactive: %v", err)
				}
			}
			if _, err := s.Session(t.Context(), w.m.current); (err == nil) == w.m.ended && !errors.Is(err, tokens.ErrNotFound) {
				t.Fatalf("session: ended %v, %v", w.m.ended, err)
			}
		},
	}
}

// testModel runs random interleavings of everything that happens to a session against the model.
func testModel(t *testing.T, around world, nodes ...tokens.Store) {
	key, err := tokens.ClaimServerKey(t.Context(), nodes[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	codec := tokens.NewCodec(key)
	rapid.Check(t, func(t *rapid.T) {
		w := &machine{nodes: nodes, world: around, codec: codec, fam: tokens.NewSessionID()}
		w.tag = codec.Tag(w.fam.String())
		w.m = model{active: map[tokens.Token]bool{}, clientEpoch: tokens.Epoch{1}}
		epoch, err := nodes[0].UserEpoch(t.Context(), w.tag, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		_, refresh := codec.NewRefresh(w.tag, w.fam, 0)
		_, access := codec.NewUserAccess(w.tag, w.fam)
		_, err = nodes[0].StartSession(t.Context(), &tokens.SessionStart{Refresh: refresh, Access: access, IdleTTL: time.Hour, MaxTTL: 2 * time.Hour, EpochTTL: 3 * time.Hour,
			Record:  &tokens.Record{Scope: "s", IssuedAt: time.Now().Truncate(time.Second), TTL: time.Hour},
			Session: tokens.Session{Tag: w.tag, ID: w.fam, ClientID: "app", ClientEpoch: w.m.clientEpoch, UserEpoch: epoch, Subject: "u", Scope: "s"}})
		if err != nil {
			t.Fatal(err)
		}
		w.m.current, w.m.active[access] = refresh, true
		t.Repeat(w.actions())
	})
}

func TestModelMemory(t *testing.T) {
	m := tokens.NewMemory(0)
	defer m.Close()
	around := world{func(_ *rapid.T, tag tokens.Tag, id tokens.SessionID) { m.LoseRetryResponse(tag, id) }, m.StoodStill}
	t.Run("RT-16 V-02 random interleavings agree with the model", func(t *testing.T) { testModel(t, around, m) })
}

func TestModelRedis(t *testing.T) {
	s := redistest.Start(t)
	var nodes []tokens.Store
	p, look := &fakePulse{}, s.Client()
	around := world{func(t *rapid.T, tag tokens.Tag, id tokens.SessionID) {
		if err := look.Del(t.Context(), tokens.RetryResponseKey(tag, id)).Err(); err != nil {
			t.Fatal(err)
		}
	}, p.set}
	for range 2 {
		db, err := redisdb.Open(redisdb.Config{URL: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		nodes = append(nodes, tokens.NewRedis(db).WithPulse(p))
	}
	t.Run("RT-16 V-02 random interleavings over two nodes agree with the model", func(t *testing.T) { testModel(t, around, nodes...) })
}

// fakePulse tells of an outage that a test sets.
type fakePulse struct {
	mu       sync.Mutex
	length   time.Duration
	returned time.Time
	err      error
}

func (p *fakePulse) set(length time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.length, p.returned = length, time.Now()
}

func (p *fakePulse) Once(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *fakePulse) Fresh(time.Duration) error { return p.Once(context.Background()) }

func (p *fakePulse) Outage() (time.Duration, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.length, p.returned
}
