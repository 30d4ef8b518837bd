package clients

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"log/slog"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

// epochs is an EpochSource that can be broken.
type epochs struct {
	mu     sync.Mutex
	now    map[string]Epoch
	broken error
}

func (e *epochs) set(now map[string]Epoch, broken error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now, e.broken = now, broken
}

func (e *epochs) ClientEpochs(_ context.Context, ids []string, _ map[string]Epoch) (list []Epoch, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		if _, ok := e.now[id]; !ok {
			list = append(list, Epoch{9})
			continue
		}
		list = append(list, e.now[id])
	}
	return list, e.broken
}

func (e *epochs) KeepClientEpochs(context.Context, []string) error { return nil }

// slow is an EpochSource whose renewals never end.
type slow struct {
	epochs
	stop     chan struct{}
	renewals atomic.Int32
}

func (s *slow) KeepClientEpochs(context.Context, []string) error {
	s.renewals.Add(1)
	<-s.stop
	return nil
}

func TestStatic(t *testing.T) {
	t.Run("S-20 a renewal of lifetimes that hangs keeps nobody from confirming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := &slow{epochs: epochs{now: map[string]Epoch{"a": {1}}}, stop: make(chan struct{})}
			defer close(source.stop)
			s, err := NewConfigured(t.Context(), []*Client{{Registration: Registration{ID: "a"}}}, source)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go s.Run(ctx, slog.New(slog.DiscardHandler))
			go s.Housekeep(ctx, slog.New(slog.DiscardHandler))
			for range 100 {
				time.Sleep(time.Hour)
				require.NoError(t, s.Fresh())
			}
			require.EqualValues(t, 1, source.renewals.Load())
		})
	})
	t.Run("a node that cannot confirm its epochs for two seconds refuses, and recovers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := &epochs{now: map[string]Epoch{"a": {1}}}
			s, err := NewConfigured(t.Context(), []*Client{{Registration: Registration{ID: "a"}}}, source)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go s.Run(ctx, slog.New(slog.DiscardHandler))
			time.Sleep(time.Minute)
			synctest.Wait()
			c, err := s.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, Epoch{1}, c.Epoch)

			source.set(map[string]Epoch{"a": {1}}, errors.New("away"))
			time.Sleep(StaleAfter + PollEvery)
			synctest.Wait()
			_, err = s.Get(t.Context(), "a")
			require.ErrorIs(t, err, ErrStale)
			_, err = s.Get(t.Context(), "unknown")
			require.ErrorIs(t, err, ErrUnknown, "what config.toml does not name is known not to be there")

			source.set(map[string]Epoch{"a": {2}}, nil)
			time.Sleep(PollEvery)
			synctest.Wait()
			c, err = s.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, Epoch{2}, c.Epoch)
		})
	})
	t.Run("an id that is there twice is refused", func(t *testing.T) {
		_, err := NewConfigured(t.Context(), []*Client{{Registration: Registration{ID: "a"}}, {Registration: Registration{ID: "a"}}}, &epochs{})
		require.Error(t, err)
	})
}

func TestAuthenticate(t *testing.T) {
	s, err := NewConfigured(t.Context(), []*Client{
		{Registration: Registration{ID: "app", Secrets: []Secret{{Hash: HashSecret("one")}, {Hash: HashSecret("two")}}}},
		{Registration: Registration{ID: "public", Method: MethodNone}},
	}, &epochs{})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		creds Credentials
		want  AuthReason
	}{
		"CA-17 the first secret":                   {Credentials{ID: "app", Secret: "one", Method: MethodBasic}, ""},
		"CA-17 the second secret":                  {Credentials{ID: "app", Secret: "two", Method: MethodPost}, ""},
		"CA-08 a wrong secret":                     {Credentials{ID: "app", Secret: "three", Method: MethodBasic}, ReasonWrongSecret},
		"CA-12 §2.2 an id alone":                   {Credentials{ID: "app", Secret: "", Method: MethodNone}, ReasonMethod},
		"CA-12 an empty secret":                    {Credentials{ID: "app", Secret: "", Method: MethodBasic}, ReasonWrongSecret},
		"CA-08 an unknown client":                  {Credentials{ID: "nobody", Secret: "one", Method: MethodBasic}, ReasonUnknown},
		"a public client":                          {Credentials{ID: "public", Secret: "", Method: MethodNone}, ""},
		"CA-07 a public client that shows secrets": {Credentials{ID: "public", Secret: "x", Method: MethodBasic}, ReasonMethod},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Authenticate(t.Context(), s, c.creds, time.Now())
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, c.creds.ID, got.Client.ID)
				return
			}
			var refusal *AuthError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, c.want, refusal.Reason)
			require.Zero(t, got)
		})
	}
}

// TestTiming compares the work, not one measurement against a wall clock: the medians of
// interleaved samples, and generously.
func TestTiming(t *testing.T) {
	s, err := NewConfigured(t.Context(), []*Client{{Registration: Registration{ID: "app", Secrets: []Secret{{Hash: HashSecret("one")}}}}}, &epochs{})
	require.NoError(t, err)
	t.Run("S-01 CA-10 an unknown client costs what a wrong secret costs", func(t *testing.T) {
		var unknown, wrong []time.Duration
		secret := strings.Repeat("s", 54)
		sample := func(id string) time.Duration {
			begun := time.Now()
			for range 200 {
				_, _ = Authenticate(t.Context(), s, Credentials{ID: id, Secret: secret, Method: MethodBasic}, begun)
			}
			return time.Since(begun) / 200
		}
		for range 400 {
			unknown, wrong = append(unknown, sample("nobody")), append(wrong, sample("app"))
		}
		slices.Sort(unknown)
		slices.Sort(wrong)
		require.InDelta(t, float64(wrong[200]), float64(unknown[200]), float64(300*time.Microsecond))
		t.Logf("unknown %s, wrong %s", unknown[200], wrong[200])
	})
}

func TestCheck(t *testing.T) {
	cat, err := scopes.NewCatalogue(map[string]scopes.Scope{"a": {}})
	require.NoError(t, err)
	wild, err := scopes.ParseRules("a")
	require.NoError(t, err)
	secret := []Secret{{Hash: HashSecret("x")}}
	for field, c := range map[string]Client{
		"client_id":                  {Registration: Registration{Secrets: secret}},
		"secrets":                    {Registration: Registration{ID: "c", Secrets: slices.Repeat(secret, 3)}},
		"grant_types":                {Registration: Registration{ID: "c", Secrets: secret, Grants: []string{"implicit"}}},
		"default_scope":              {Registration: Registration{ID: "c", Secrets: secret}, Scope: wild, DefaultScope: scopes.MustParse("grantor:admin")},
		"introspect":                 {Registration: Registration{ID: "c", Method: MethodNone, Introspect: SightAny}},
		"resource":                   {Registration: Registration{ID: "c", Secrets: secret, Resource: "x"}},
		"audience":                   {Registration: Registration{ID: "c", Secrets: secret, Audience: []string{"x#y"}}},
		"scope":                      {Registration: Registration{ID: "c", Secrets: secret}, Scope: scopes.Exactly(scopes.MustParse("b"))},
		"jwks":                       {Registration: Registration{ID: "c", Method: MethodJWT}},
		"token_endpoint_auth_method": {Registration: Registration{ID: "c", Secrets: secret, Method: "client_secret_jwt"}},
	} {
		var f *FieldError
		require.ErrorAs(t, c.Check(cat), &f, field)
		require.Equal(t, field, f.Field)
	}
	require.NoError(t, (&Client{Registration: Registration{ID: "a:b c~", Secrets: secret}, Scope: wild, DefaultScope: scopes.MustParse("a")}).Check(cat))
}

func TestReadRegistrationsRefusesNullInLists(t *testing.T) {
	for _, text := range []string{`{"client_id": "c", "contacts": [null]}`, `[null]`, `{"clients": [null]}`} {
		_, err := ReadRegistrations(strings.NewReader(text))
		require.ErrorContains(t, err, "null for an element", text)
	}
}

func TestRegistrationRetryWindow(t *testing.T) {
	of := func(text string) (*Client, error) {
		list, err := ReadRegistrations(strings.NewReader(`{"client_id": "c", "retry_window": "` + text + `"}`))
		require.NoError(t, err)
		return list[0].Client()
	}
	for _, text := range []string{"-1ns", "-30s", "-2562047h47m16.854775808s"} {
		t.Run(text+" is refused, and not read as strict", func(t *testing.T) {
			_, err := of(text)
			var f *FieldError
			require.ErrorAs(t, err, &f)
			require.Equal(t, "retry_window", f.Field)
			require.ErrorContains(t, err, "must not be negative")
		})
	}
	t.Run("0s is strict, and stays so", func(t *testing.T) {
		c, err := of("0s")
		require.NoError(t, err)
		require.Negative(t, c.RetryWindow)
		again, err := new(c.Describe()).Client()
		require.NoError(t, err)
		require.Equal(t, c.RetryWindow, again.RetryWindow)
	})
}

func TestHash(t *testing.T) {
	h := HashSecret("x")
	again, err := ParseHash(h.String())
	require.NoError(t, err)
	require.Equal(t, h, again)
	for _, bad := range []string{"", "hunter2", "sha256:", "sha256:zz", strings.ToUpper(h.String()), h.String() + "00"} {
		_, err := ParseHash(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// FuzzReadCredentials: a refusal says nothing of who asks, and what RFC 6749 §2.3.1 has a client
// write is read as it was meant.
func FuzzReadCredentials(f *testing.F) {
	f.Add("Basic YTpi", "a", "")
	f.Add("Basic !!", "", "s")
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		c, err := ReadCredentials([]string{header}, url.Values{"client_id": {id}, "client_secret": {secret}})
		if err != nil {
			var e *CredentialsError
			require.ErrorAs(t, err, &e)
			require.Zero(t, c)
		} else {
			require.Equal(t, c.Secret == "", c.Method == MethodNone)
			require.True(t, id == "" || id == c.ID)
			require.Empty(t, secret, "one method of authentication (RFC 6749 §2.3)")
		}
		written := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		c, err = ReadCredentials([]string{written}, nil)
		if text := id + secret; !utf8.ValidString(id) || !utf8.ValidString(secret) || strings.Contains(text, "\x00") {
			require.ErrorIs(t, err, ErrMissing)
			return
		}
		require.NoError(t, err)
		method := MethodBasic
		if secret == "" {
			method = MethodNone
		}
		require.Equal(t, Credentials{ID: id, Secret: secret, Method: method}, c)
	})
}
