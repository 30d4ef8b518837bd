package server

import (
	"errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// beginSession reads the user's epoch and then asks the directory once more. A log-out, a disabling
// or a new password before the epoch is seen here; one after the epoch makes storeSession fail.
// An *Error is a refusal, which is answered like a wrong password.
func (s *Server) beginSession(x *exchange, user *users.User) (*pendingSession, error) {
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
	return &pendingSession{user: now, epoch: epoch, id: tokens.NewSessionID()}, nil
}

// mintSession mints the first tokens of a session. A client without the grant type refresh_token
// gets an access token alone.
func (s *Server) mintSession(x *exchange) (access, refresh string, err error) {
	p := x.session
	tag := s.codec.Tag(p.user.ID)
	if access, x.issued, err = s.mintUser(x.client, tag, p.id, p.epoch, p.user.ID, x.record); err != nil {
		return "", "", err
	}
	if x.client.MayUse(clients.GrantRefreshToken) {
		refresh, p.refresh = s.codec.NewRefresh(tag, p.id, 0)
	}
	return access, refresh, nil
}

// storeSession stores a session with its first tokens, in one script.
func (s *Server) storeSession(x *exchange) error {
	p := x.session
	idle, longest := s.idleTTL(x.client), s.maxTTL(x.client)
	if p.refresh.Kind == 0 { // without a refresh token the session ends with its access token
		idle, longest = x.record.TTL, x.record.TTL
	}
	beyond, err := s.cfg.Store.StartSession(x, &tokens.SessionStart{
		Maximum: s.cfg.SessionsPerUser, Access: x.issued, Refresh: p.refresh, IdleTTL: idle, MaxTTL: longest, EpochTTL: s.epochTTL(),
		Record: x.record, Proof: x.proof,
		Session: tokens.Session{
			Tag: s.codec.Tag(p.user.ID), ID: p.id, ClientID: x.client.ID, ClientEpoch: x.client.Epoch, UserEpoch: p.epoch,
			Subject: p.user.ID, Username: p.user.Username, Scope: p.scope.String(), Audience: x.audience,
			Credential: s.prints.of(p.user.Credential), Address: x.coarseNetwork(), Device: p.device,
			Confirmation: x.bindsSession(),
		},
	})
	if err == nil {
		s.endBeyond(x, x.issued.Tag, beyond)
	}
	return err
}
