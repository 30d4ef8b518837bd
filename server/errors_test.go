package server

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

func TestFaultsOfADirectory(t *testing.T) {
	a := &application{}
	f := startApplication(t, a)
	first := f.loginAs(t, "ada", adaPassword)
	require.Equal(t, 200, first.status, first.body)
	for body, reason := range map[string]string{
		`{"sub":"u-1","scope":"orders:read "}`:     "directory_answer_invalid",
		`{"sub":"u-1","scope":"a\"b-1nside"}`:      "directory_answer_invalid",
		`{"sub":"u-1","scope":"grantor:admin"}`:    "directory_answer_invalid",
		`{"sub":"u-1","scope":7}`:                  "directory_answer_invalid",
		`{"sub":"u-1","username":"1nside\u0000"}`:  "directory_answer_invalid",
		`{"sub":"1nside out"}`:                     "directory_answer_invalid",
		`<html>1nside`:                             "directory_answer_invalid",
		strings.Repeat("1nside", 64<<10):           "directory_answer_invalid",
		`{"sub":"u-1","x":"` + "\x01" + `1nside"}`: "directory_answer_invalid",
	} {
		t.Run("ER-06 a directory's fault is the directory's: "+body[:min(len(body), 40)], func(t *testing.T) {
			a.answer.Store(&body)
			defer a.answer.Store(nil)
			for _, r := range []reply{f.loginAs(t, "ada", adaPassword), f.refresh(t, first.text("refresh_token"))} {
				refused(t, r, 503, codeUnavailable)
				require.NotEmpty(t, r.header.Get("Retry-After"))
				require.NotContains(t, r.body, "1nside")
				require.NotContains(t, r.body, "store")
				require.Contains(t, r.text("error_description"), "directory")
				require.Contains(t, f.log.String(), `"reason":"`+reason+`"`)
			}
		})
	}
	t.Run("RT-19 the session is whole when the directory is", func(t *testing.T) {
		require.Equal(t, 200, f.refresh(t, first.text("refresh_token")).status)
	})
	t.Run("ER-06 what nobody foresaw is internal, and names neither store nor directory", func(t *testing.T) {
		f.store.broken = errors.New("1nside")
		defer func() { f.store.broken = nil }()
		r := f.post(t, tokP, app, ask)
		refused(t, r, 503, codeUnavailable)
		require.NotContains(t, r.body, "store")
		require.NotContains(t, r.body, "1nside")
		require.Contains(t, f.log.String(), `"reason":"internal"`)
	})
}

// stale is a store whose records hold a scope that nobody could have asked for.
type stale struct{ tokens.Store }

func (s stale) Load(ctx contextT, t tokens.Token) (*tokens.Record, error) {
	r, err := s.Store.Load(ctx, t)
	if err == nil {
		r.Scope = "1nside  \""
	}
	return r, err
}

// ambiguous is a fault of a directory that wraps every sentinel of other packages too.
type ambiguous struct{}

func (ambiguous) Error() string   { return "the directory is away" }
func (ambiguous) Is(e error) bool { return e != users.ErrRecord }

func TestFaultsAreNoRefusalsOfTheLibrary(t *testing.T) {
	require.Equal(t, 503, asError(fromLibrary(ambiguous{})).Status, "ER-06 a fault is never the client's")
}

func TestFaultsOfTheStore(t *testing.T) {
	f := start(t, func(c *Config) { c.Store = stale{c.Store} })
	token := f.issue(t, "")
	t.Run("ER-06 a mistake in what is stored is none of the request", func(t *testing.T) {
		r := f.post(t, intP, "gateway:rs", "token="+token)
		refused(t, r, 503, codeUnavailable)
		require.NotContains(t, r.body, "1nside")
		require.Contains(t, f.log.String(), `"reason":"store_record_invalid"`)
	})
}

// TestMeaningsOf503 asks for a revocation of which the store says three things.
func TestMeaningsOf503(t *testing.T) {
	f := start(t)
	waits := map[string]bool{}
	for outcome, c := range map[string]struct {
		err            error
		reason, phrase string
	}{
		"not_done":      {redisdb.ErrUnavailable, "store_unavailable", "nothing was done"},
		"not_confirmed": {redisdb.ErrNotDurable, "not_confirmed", "this is done, but too few replicas"},
		"unknown":       {redisdb.ErrOutcomeUnknown, "outcome_unknown", "whether this was done is not known"},
	} {
		t.Run("ER-06 RV-14 RFC 7009 §2.2.1 "+outcome, func(t *testing.T) {
			token := f.issue(t, "")
			for range 32 {
				f.store.broken = c.err
				r := f.post(t, revP, app, "token="+token)
				f.store.broken = nil
				refused(t, r, 503, codeUnavailable)
				require.Equal(t, outcome, r.text("outcome"))
				require.Contains(t, r.text("error_description"), c.phrase)
				require.Regexp(t, "^[1-4]$", r.header.Get("Retry-After"))
				waits[r.header.Get("Retry-After")] = true
			}
			require.Contains(t, f.log.String(), `"reason":"`+c.reason+`"`)
		})
	}
	require.Greater(t, len(waits), 1, "all who were refused do not come back in one second")
}

// TestAsError holds every error that other packages wrap against what a client is told of it.
func TestAsError(t *testing.T) {
	syntax := func() error { _, err := scopes.Parse("a  b"); return err }()
	_, malformed := users.NewLogin("", "x")
	for reason, list := range map[string][]error{
		"directory_unavailable":    {users.ErrUnavailable, fmt.Errorf("x: %w", users.ErrUnavailable), errors.Join(&users.DirectoryError{Kinds: []error{users.ErrUnavailable}, Cause: io.EOF}, errStoreGone)},
		"directory_answer_invalid": {users.ErrRecord, errors.Join(users.ErrRecord, syntax)},
		"store_unavailable":        {errStoreGone, fmt.Errorf("%w: redis: %w", users.ErrUnavailable, errStoreGone), redisdb.ErrUnavailable, redisdb.ErrBusy, errors.Join(errStoreGone, syntax), fmt.Errorf("x: %w", errStoreGone)},
		"store_record_invalid":     {tokens.ErrRecord, clients.ErrRecord, keys.ErrRecord, errors.Join(clients.ErrRecord, &clients.FieldError{Field: "scope", Err: syntax})},
		"store_full":               {tokens.ErrFull, lockout.ErrFull},
		"not_current":              {clients.ErrStale, errors.Join(clients.ErrStale, errStoreGone), keys.ErrUnconfirmed},
		"not_confirmed":            {redisdb.ErrNotDurable, fmt.Errorf("x: %w", redisdb.ErrNotDurable), errors.Join(errStoreGone, redisdb.ErrNotDurable)},
		"outcome_unknown":          {redisdb.ErrOutcomeUnknown, fmt.Errorf("x: %w", redisdb.ErrOutcomeUnknown)},
		"keys_unavailable":         {assertions.ErrKeysUnavailable, jwt.ErrCrowded, fmt.Errorf("x: %w", jwt.ErrCrowded)},
		"internal":                 {errors.New("x"), syntax, malformed, io.EOF, fmt.Errorf("a stored scope: %w", syntax)},
	} {
		t.Run("ER-06 "+reason, func(t *testing.T) {
			for _, err := range list {
				e := asError(err)
				require.Equal(t, Reason(reason), e.Reason, err)
				require.Equal(t, 503, e.Status, err)
				require.Equal(t, codeUnavailable, e.Code, err)
				require.Positive(t, e.RetryAfter)
				require.NotContains(t, e.Description, err.Error())
			}
		})
	}
}
