package server

import (
	"context"
	"errors"
	"time"

	oauth2 "github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// login is a user who has proved themselves, on the way to tokens.
type login struct {
	user    *users.User
	epoch   tokens.Epoch // read before the directory was asked for the last time
	family  tokens.SessionID
	refresh tokens.Token
	record  *tokens.Record // of the access token
}

// errWrongPassword is the one answer to unknown names, wrong passwords, locked and disabled users.
func (s *Server) errWrongPassword(reason string) error {
	s.cfg.Metrics.LoginFailed(reason)
	return &Error{Code: codeInvalidGrant, Description: users.ErrRefused.Error(), Reason: reason}
}

// checkPassword is the library's question who a name and a password prove (RFC 6749 §4.3.2). The client was
// authenticated and its grant checked before.
func (s *Server) checkPassword(ctx context.Context, _, username, password string) (string, error) {
	x := exchangeFrom(ctx)
	if x == nil || x.client == nil || s.cfg.Users == nil {
		return "", oautherrors.ErrInvalidClient
	}
	typed, err := users.NewLogin(username, password)
	if err != nil {
		return "", refusal(codeInvalidRequest, "%s", err)
	}
	defer s.shed.leaveLogin(x.network())
	if err := s.shed.enterLogin(x.network()); err != nil {
		return "", err
	}
	guess, err := s.beginGuess(x)
	if err != nil {
		return "", err
	}
	attempt, err := s.cfg.Users.Lookup(x, typed)
	if err != nil {
		return "", errors.Join(err, guess.giveBack())
	}
	if err := guess.of(attempt); err != nil {
		return "", err
	}
	user, err := s.cfg.Users.Verify(x, attempt)
	if err != nil {
		return "", guess.refused(attempt, err)
	}
	if s.cfg.DemoUsers[user.ID] && !straight(x.gin.Request) {
		if err := guess.giveBack(); err != nil { // the password is public: it was no guess, and must lock nobody out
			return "", err
		}
		return "", s.errWrongPassword("demo_user_off_loopback")
	}
	if err := guess.is(attempt, user.ID); err != nil {
		return "", err
	}
	if x.login, err = s.proved(x, user); err != nil {
		if e, refused := errors.AsType[*Error](err); refused {
			return "", guess.failed(e.Reason)
		}
		return "", errors.Join(err, guess.giveBack()) // a right password is no failure (V-03)
	}
	if err := guess.succeeded(); err != nil {
		return "", err
	}
	return user.ID, nil
}

// proved draws the user's epoch and then asks the directory once more: a log-out, a disabling or a new password
// between the first look and the epoch is seen here, and one after the epoch makes the last script
// fail. An *Error is a refusal, to be told like a wrong password.
func (s *Server) proved(x *exchange, user *users.User) (*login, error) {
	epoch, err := s.cfg.Store.UserEpoch(x, s.codec.Tag(user.ID), s.epochLife())
	if err != nil {
		return nil, err
	}
	now, err := s.cfg.Users.Recheck(x, user.ID)
	if errors.Is(err, users.ErrGone) {
		return nil, &Error{Code: codeInvalidGrant, Reason: "user_disabled"}
	}
	if err != nil {
		return nil, err
	}
	if s.fingerprints.Of(now.Credential) != s.fingerprints.Of(user.Credential) {
		return nil, &Error{Code: codeInvalidGrant, Reason: "password_changed_meanwhile"}
	}
	if now.Username == "" {
		now.Username = user.Username
	}
	return &login{user: now, epoch: epoch, family: tokens.NewSessionID()}, nil
}

// epochLife is longer than any family lives.
func (s *Server) epochLife() time.Duration { return s.cfg.MaxSessionTTL + 24*time.Hour }

// userScope cuts what the client may have to what the user may. Reserved scopes are never in a user's token.
func (s *Server) userScope(u *users.User, granted scopes.Set) (scopes.Set, error) {
	may := u.Rules(s.cfg.UserScope)
	kept := granted.Filter(func(t string) bool { return !scopes.IsReserved(t) && s.cfg.Catalogue.Permits(may, t) })
	if kept.IsEmpty() && !granted.IsEmpty() {
		return scopes.Set{}, refusal(codeInvalidScope, "this user may have none of the scopes that were asked for")
	}
	return kept, nil
}

// mintLogin mints the tokens of a new family; a refresh token only for clients that may use it.
func (s *Server) mintLogin(x *exchange, info oauth2.TokenInfo) (access, refresh string, err error) {
	tag := s.codec.Tag(x.login.user.ID)
	x.login.record = &tokens.Record{Scope: info.GetScope(), Audience: x.audience, IssuedAt: info.GetAccessCreateAt(), TTL: info.GetAccessExpiresIn()}
	if access, x.issued, err = s.mintUser(x, tag, x.login.family, x.login.user.ID, x.login.record); err != nil {
		return "", "", err
	}
	if x.client.MayUse(clients.GrantRefreshToken) {
		refresh, x.login.refresh = s.codec.NewRefresh(tag, x.login.family, 0)
	}
	return access, refresh, nil
}

// storeLogin stores the family with its first tokens, in one script.
func (s *Server) storeLogin(x *exchange, scope string, ttl time.Duration) error {
	u := x.login.user
	fingerprint := s.fingerprints.Of(u.Credential)
	idle, most := s.idle(x.client), s.most(x.client)
	if x.login.refresh.Kind == 0 { // without refresh the family is the access token's alone
		idle, most = ttl, ttl
	}
	return s.cfg.Store.StartSession(x, &tokens.SessionStart{
		Access: x.issued, Refresh: x.login.refresh, IdleTTL: idle, MaxTTL: most, EpochTTL: s.epochLife(),
		Record: x.login.record,
		Session: tokens.Session{
			Tag: s.codec.Tag(u.ID), ID: x.login.family, ClientID: x.client.ID, ClientEpoch: x.client.Epoch, UserEpoch: x.login.epoch,
			Subject: u.ID, Username: u.Username, Scope: scope, Audience: x.audience, Credential: [16]byte(fingerprint[:16]),
			Address: x.coarseNetwork(),
		},
	})
}

func (s *Server) idle(c *clients.Client) time.Duration {
	if c.RefreshTTL > 0 {
		return c.RefreshTTL
	}
	return s.cfg.RefreshTTL
}

func (s *Server) most(c *clients.Client) time.Duration {
	if c.MaxTTL > 0 {
		return c.MaxTTL
	}
	return s.cfg.RefreshMaxTTL
}

func (s *Server) accessTTL(c *clients.Client) time.Duration {
	if c.AccessTTL > 0 {
		return c.AccessTTL
	}
	return s.cfg.AccessTTL
}

// retryWindow is never more than a quarter of the access token's life.
func (s *Server) retryWindow(c *clients.Client) time.Duration {
	window := c.RetryWindow
	if window == 0 {
		window = s.cfg.RetryWindow
	}
	switch {
	case window < 0:
		return 0
	case window == 0:
		window = 30 * time.Second
	}
	return min(window, s.accessTTL(c)/4)
}
