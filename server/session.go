package server

import (
	"errors"
	"time"

	oauth2 "github.com/go-oauth2/oauth2/v4"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// proved draws the user's epoch and then asks the directory once more: a log-out, a disabling or a new password
// between the first look and the epoch is seen here, and one after the epoch makes the last script
// fail. An *Error is a refusal, to be told like a wrong password.
func (s *Server) proved(x *exchange, user *users.User) (*pendingSession, error) {
	epoch, err := s.cfg.Store.UserEpoch(x, s.codec.Tag(user.ID), s.epochTTL())
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
	if s.prints.of(now.Credential) != s.prints.of(user.Credential) {
		return nil, &Error{Code: codeInvalidGrant, Reason: "password_changed_meanwhile"}
	}
	if now.Username == "" {
		now.Username = user.Username
	}
	return &pendingSession{user: now, epoch: epoch, family: tokens.NewSessionID()}, nil
}

// mintLogin mints the tokens of a new family; a refresh token only for clients that may use it.
func (s *Server) mintLogin(x *exchange, info oauth2.TokenInfo) (access, refresh string, err error) {
	tag := s.codec.Tag(x.session.user.ID)
	x.session.record = &tokens.Record{Scope: info.GetScope(), Audience: x.audience, IssuedAt: info.GetAccessCreateAt(), TTL: info.GetAccessExpiresIn()}
	if access, x.issued, err = s.mintUser(x, tag, x.session.family, x.session.user.ID, x.session.record); err != nil {
		return "", "", err
	}
	if x.client.MayUse(clients.GrantRefreshToken) {
		refresh, x.session.refresh = s.codec.NewRefresh(tag, x.session.family, 0)
	}
	return access, refresh, nil
}

// storeLogin stores the family with its first tokens, in one script.
func (s *Server) storeLogin(x *exchange, scope string, ttl time.Duration) error {
	u := x.session.user
	idle, longest := s.idleTTL(x.client), s.maxTTL(x.client)
	if x.session.refresh.Kind == 0 { // without refresh the family is the access token's alone
		idle, longest = ttl, ttl
	}
	return s.cfg.Store.StartSession(x, &tokens.SessionStart{
		Access: x.issued, Refresh: x.session.refresh, IdleTTL: idle, MaxTTL: longest, EpochTTL: s.epochTTL(),
		Record: x.session.record,
		Session: tokens.Session{
			Tag: s.codec.Tag(u.ID), ID: x.session.family, ClientID: x.client.ID, ClientEpoch: x.client.Epoch, UserEpoch: x.session.epoch,
			Subject: u.ID, Username: u.Username, Scope: scope, Audience: x.audience, Credential: s.prints.of(u.Credential),
			Address: x.coarseNetwork(),
		},
	})
}
