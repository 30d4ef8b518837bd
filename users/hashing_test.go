package users

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// cheap is bcrypt at its lowest cost, for tests: the hash of staple.
const cheap = "$2b$04$7tjnEc3F52BlPmwHXLGVveR.iNojxNxYQWPiPZeLnKE.7c.sd0tv2"

func staticUsers(t *testing.T, list ...ConfigUser) *Hashing {
	t.Helper()
	s, err := NewConfigDirectory(list)
	require.NoError(t, err)
	return NewHashing(s, NewSlots(0))
}

// verify is the two steps of a login.
func verify(ctx context.Context, auth Authenticator, name, password string) (*User, error) {
	login, err := NewLogin(name, password)
	if err != nil {
		return nil, err
	}
	a, err := auth.Lookup(ctx, login)
	if err != nil {
		return nil, err
	}
	return auth.Verify(ctx, a)
}

func TestHashing(t *testing.T) {
	h := staticUsers(t,
		ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap},
		ConfigUser{ID: "u-2", Username: "eve", PasswordHash: cheap, Disabled: true},
	)
	t.Run("PW-01 the right password", func(t *testing.T) {
		u, err := verify(t.Context(), h, "ada", staple)
		require.NoError(t, err)
		require.Equal(t, "u-1", u.ID)
		require.Equal(t, "ada", u.Username)
	})
	for name, c := range map[string]struct {
		username, password string
		reason             LoginReason
	}{
		"unknown":                    {"nobody", staple, ReasonUnknown},
		"the id is no name":          {"u-1", staple, ReasonUnknown},
		"wrong":                      {"ada", "wrong", ReasonPassword},
		"V-09 disabled":              {"eve", staple, ReasonDisabled},
		"disabled, wrong":            {"eve", "wrong", ReasonPassword},
		"PW-08 beyond bcrypt's 72 B": {"ada", strings.Repeat("a", 73), ReasonPassword},
	} {
		t.Run("PW-04 S-05 "+name, func(t *testing.T) {
			before := h.Slots().PasswordChecks()
			_, err := verify(t.Context(), h, c.username, c.password)
			require.ErrorIs(t, err, ErrRefused)
			require.Equal(t, ErrRefused.Error(), err.Error(), "the same words")
			require.Equal(t, before+1, h.Slots().PasswordChecks(), "S-02 the same work")
			var refusal *LoginError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, c.reason, refusal.Reason)
		})
	}
}

func TestRecheck(t *testing.T) {
	h := staticUsers(t,
		ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap},
		ConfigUser{ID: "u-2", Username: "eve", PasswordHash: cheap, Disabled: true},
	)
	u, err := h.Recheck(t.Context(), "u-1")
	require.NoError(t, err)
	require.Equal(t, NewCredential(cheap), u.Credential)
	_, err = h.Recheck(t.Context(), "u-2")
	require.ErrorIs(t, err, ErrGone, "PW-10 V-09")
	_, err = h.Recheck(t.Context(), "u-3")
	require.ErrorIs(t, err, ErrGone)
}

// directory is a Directory made of one function.
type directory func(key string) (*User, error)

func (d directory) Find(_ context.Context, name string) (*User, error) { return d(name) }
func (d directory) ByID(_ context.Context, id string) (*User, error)   { return d(id) }

func TestDirectoryErrors(t *testing.T) {
	t.Run("ER-06 a directory that cannot answer is neither yes nor no", func(t *testing.T) {
		h := NewHashing(directory(func(string) (*User, error) { return nil, errors.New("connection refused") }), NewSlots(1))
		_, err := verify(t.Context(), h, "ada", "x")
		require.ErrorIs(t, err, ErrUnavailable)
		require.NotErrorIs(t, err, ErrRefused)
		_, err = h.Recheck(t.Context(), "u-1")
		require.ErrorIs(t, err, ErrUnavailable)
		require.NotErrorIs(t, err, ErrGone)
	})
	t.Run("an unusable entry says nothing of a password and ends no session", func(t *testing.T) {
		h := NewHashing(directory(func(string) (*User, error) { return nil, ErrRecord }), NewSlots(1))
		_, err := verify(t.Context(), h, "ada", "x")
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorIs(t, err, ErrRecord)
		_, err = h.Recheck(t.Context(), "u-1")
		require.ErrorIs(t, err, ErrUnavailable)
	})
	t.Run("another user's row is not this user", func(t *testing.T) {
		h := NewHashing(directory(func(string) (*User, error) { return &User{ID: "12"}, nil }), NewSlots(1))
		_, err := h.Recheck(t.Context(), "12abc")
		require.ErrorIs(t, err, ErrUnavailable)
	})
	for _, hash := range []string{"", "!unusable", "md5$salt$x", "plaintext"} {
		t.Run("no usable hash: "+hash, func(t *testing.T) {
			h := NewHashing(directory(func(string) (*User, error) {
				return &User{ID: "u-1", Credential: NewCredential(hash)}, nil
			}), NewSlots(1))
			_, err := verify(t.Context(), h, "ada", "plaintext")
			var refusal *LoginError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, ReasonNoPassword, refusal.Reason)
			require.EqualValues(t, 1, h.Slots().PasswordChecks(), "S-02 a dummy was computed")
		})
	}
}

func TestKey(t *testing.T) {
	h := staticUsers(t, ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap})
	key := func(name string) string {
		login, err := NewLogin(name, "x")
		require.NoError(t, err)
		a, err := h.Lookup(t.Context(), login)
		require.NoError(t, err)
		return a.Key()
	}
	require.Equal(t, "id:u-1", key("ada"), "S-11 found: by the user's id")
	require.Equal(t, "name:u-1", key("u-1"), "S-15 an id typed as a name locks nobody")
	require.Equal(t, key("Bob"), key("bob"), "S-03 unknown: spelling it otherwise opens no second budget")
	require.Zero(t, h.Slots().PasswordChecks(), "V-11 Lookup costs no hash")
}

func TestCensus(t *testing.T) {
	parse := func(text string) passwordHash {
		h, err := parseHash(text)
		require.NoError(t, err)
		return h
	}
	django := parse("pbkdf2_sha256$10000$c9KOeptjmi55LNmWoA7sLU$pk76ukEtxiWpICbr/XbshhWgq/4KW9RnJwAz4Ari9nU=")
	bcrypt := parse(cheap)
	t.Run("S-02 starts with our own form", func(t *testing.T) {
		require.Equal(t, ownForm().form(), newCensus().dummy().form())
	})
	t.Run("S-02 the dummy is of the most frequent form", func(t *testing.T) {
		c := newCensus()
		c.count("1", django)
		require.Equal(t, django.form(), c.dummy().form())
		c.count("2", bcrypt)
		c.count("3", bcrypt)
		require.Equal(t, bcrypt.form(), c.dummy().form())
		c.count("2", django)
		require.Equal(t, django.form(), c.dummy().form(), "a user's new form replaces the old")
	})
	t.Run("S-02 one account does not bend it", func(t *testing.T) {
		c := newCensus()
		c.count("1", django)
		c.count("2", django)
		for range 1000 {
			c.count("mallory", bcrypt)
		}
		require.Equal(t, django.form(), c.dummy().form())
	})
	t.Run("it is bounded and forgets the oldest", func(t *testing.T) {
		c := newCensus()
		for i := range 3 * censusSize {
			h := django
			if i >= censusSize {
				h = bcrypt
			}
			c.count(strings.Repeat("x", i+1), h)
		}
		require.Len(t, c.voters, censusSize)
		require.Len(t, c.forms, 1)
		require.Equal(t, bcrypt.form(), c.dummy().form())
	})
	t.Run("S-02 config.toml is counted from the start", func(t *testing.T) {
		h := staticUsers(t, ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap})
		require.Equal(t, bcrypt.form(), h.usual.dummy().form())
	})
}

func TestDecline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := staticUsers(t, ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap})
		for range len(h.pace.last) {
			h.pace.note(40 * time.Millisecond)
		}
		start := time.Now()
		h.Decline(t.Context())
		require.Equal(t, 40*time.Millisecond, time.Since(start), "S-02 S-03 locked takes as long as wrong")
		require.Zero(t, h.Slots().PasswordChecks(), "S-11 V-11 and computes nothing")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start = time.Now()
		h.Decline(ctx)
		require.Zero(t, time.Since(start))
	})
}

func TestSlots(t *testing.T) {
	t.Run("S-16 the excess is refused within a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := NewSlots(2)
			var wg sync.WaitGroup
			var mu sync.Mutex
			inside, most, done, busy := 0, 0, 0, 0
			start := time.Now()
			for range 200 {
				wg.Go(func() {
					err := s.Do(t.Context(), func() {
						mu.Lock()
						inside++
						most = max(most, inside)
						mu.Unlock()
						time.Sleep(100 * time.Millisecond)
						mu.Lock()
						inside--
						mu.Unlock()
					})
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						done++
						return
					}
					require.ErrorIs(t, err, ErrBusy)
					require.Less(t, time.Since(start), time.Second)
					busy++
				})
			}
			synctest.Wait()
			require.Equal(t, 2, s.InUse())
			require.Equal(t, 2*waitersPerSlot, s.Waiting(), "the queue is bounded")
			wg.Wait()
			require.Equal(t, 2, most, "S-17 no more than the slots at once")
			require.Equal(t, 200, done+busy)
			require.Equal(t, 16, done, "two at a time, eight rounds begin within MaxWait")
			require.EqualValues(t, done, s.PasswordChecks())
			require.Zero(t, s.InUse())
			require.Zero(t, s.Waiting())
		})
	})
	t.Run("S-16 who waits may give up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := NewSlots(1)
			release := make(chan struct{})
			go s.Do(t.Context(), func() { <-release }) //nolint:errcheck // cannot fail
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, s.Do(ctx, func() { t.Error("ran") }), context.DeadlineExceeded)
			require.ErrorIs(t, s.Do(ctx, func() { t.Error("ran") }), context.DeadlineExceeded)
			close(release)
			synctest.Wait()
			require.NoError(t, s.Do(t.Context(), func() {}))
		})
	})
	t.Run("S-16 as many as cores", func(t *testing.T) {
		require.Positive(t, NewSlots(0).Size())
	})
	t.Run("S-16 a busy server says so before it hashes", func(t *testing.T) {
		h := staticUsers(t, ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap})
		synctest.Test(t, func(t *testing.T) {
			h := NewHashing(h.dir, NewSlots(1))
			release := make(chan struct{})
			go h.slots.Do(t.Context(), func() { <-release }) //nolint:errcheck // cannot fail
			synctest.Wait()
			_, err := verify(t.Context(), h, "ada", staple)
			require.ErrorIs(t, err, ErrBusy)
			require.NotErrorIs(t, err, ErrRefused)
			close(release)
		})
	})
}

func TestStaticRefuses(t *testing.T) {
	good := ConfigUser{ID: "u-1", Username: "ada", PasswordHash: cheap}
	with := func(edit func(*ConfigUser)) []ConfigUser {
		u := good
		edit(&u)
		return []ConfigUser{u}
	}
	for name, c := range map[string]struct {
		list  []ConfigUser
		index int
		field string
	}{
		"no id":          {with(func(u *ConfigUser) { u.ID = "" }), 0, "id"},
		"an odd id":      {with(func(u *ConfigUser) { u.ID = "u 1" }), 0, "id"},
		"no name":        {with(func(u *ConfigUser) { u.Username = "" }), 0, "username"},
		"a password":     {with(func(u *ConfigUser) { u.PasswordHash = "hunter2" }), 0, "password_hash"},
		"two of one id":  {[]ConfigUser{good, {ID: "u-1", Username: "bob", PasswordHash: cheap}}, 1, "id"},
		"two of a name":  {[]ConfigUser{good, {ID: "u-2", Username: "\uff41da", PasswordHash: cheap}}, 1, "username"},
		"no usable hash": {with(func(u *ConfigUser) { u.PasswordHash = "!" }), 0, "password_hash"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewConfigDirectory(c.list)
			var field *ConfigUserError
			require.ErrorAs(t, err, &field)
			require.Equal(t, c.index, field.Index)
			require.Equal(t, c.field, field.Field)
		})
	}
}
