package server

import (
	"errors"
	"time"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// useRefreshToken answers the grant type refresh_token (RFC 6749 §6). The order of the three steps
// is a security property: nothing is written before client, user, scope and audience are found
// good, and then one script decides.
func (s *Server) useRefreshToken(x *exchange, text, scope string) (issuedTokens, error) {
	r := &refreshRequest{text: text, asked: scope}
	if err := s.readRefreshToken(x, r); err != nil {
		return issuedTokens{}, err
	}
	if err := s.permitRefresh(x, r); err != nil {
		return issuedTokens{}, err
	}
	return s.rotate(x, r)
}

// readRefreshToken refuses what this server did not mint as a refresh token. It has no effect.
func (s *Server) readRefreshToken(x *exchange, r *refreshRequest) (err error) {
	r.old, err = s.parse(x, r.text)
	switch {
	case err != nil && !errors.Is(err, tokens.ErrNotOurs):
		return err
	case err != nil || r.old.Kind != tokens.Refresh:
		return &Error{Code: codeInvalidGrant, Reason: "not_ours",
			Description: "this is no refresh token of this server"}
	}
	return nil
}

// permitRefresh finds out what a refresh may carry, by the cached session or else by the store. A
// refusal here uses nothing up: the client may ask again.
func (s *Server) permitRefresh(x *exchange, r *refreshRequest) error {
	defer s.overload.leaveRefresh()
	if err := s.overload.enterRefresh(); err != nil {
		return err
	}
	if cached, ok := s.sessions.of(r.old); ok && !s.mayBeBoundSince(x, cached) {
		r.session = cached
		if err := s.mayRefresh(x, r); err == nil || !isRefusal(err) {
			return err
		}
		s.sessions.Remove(r.old.Session) // a refusal must rest on the store's word
	}
	session, err := s.cfg.Store.Session(x, r.old)
	if errors.Is(err, tokens.ErrNotFound) {
		return &tokens.GrantError{Reason: tokens.ReasonNoSession}
	}
	if err != nil {
		return err
	}
	r.session = session
	if err := s.mayRefresh(x, r); err != nil {
		return s.endForUser(x, session, err)
	}
	s.sessions.remember(session)
	return nil
}

// mayRefresh judges all that the store does not: client, not_before, user, scope and audience, in
// this order. The claims come last: nobody is asked for them in vain. It changes nothing.
func (s *Server) mayRefresh(x *exchange, r *refreshRequest) error {
	switch {
	case r.session.ClientID != x.client.ID:
		return &tokens.GrantError{Reason: tokens.ReasonOtherClient}
	case r.session.Created.Before(s.cfg.NotBefore):
		return &tokens.GrantError{Reason: tokens.ReasonEnded}
	}
	s.showBound(x, r.session.Confirmation)
	user, err := s.recheckUser(x, r.session)
	if err != nil {
		return err
	}
	if err := s.refreshScope(x, r, user); err != nil {
		return err
	}
	r.claims, err = s.claimsOf(x, user, r.scope.String())
	return err
}

// Reasons of the user directory that end a session.
const (
	reasonUserDisabled    tokens.Reason = "user_disabled"
	reasonPasswordChanged tokens.Reason = "password_changed"
)

// recheckUser asks the user directory anew. A user who is deleted or disabled, or has another
// password, ends the session. A directory that cannot answer ends nothing.
func (s *Server) recheckUser(x *exchange, session *tokens.Session) (*users.User, error) {
	user, err := s.cfg.Users.Recheck(x, session.Subject)
	s.outages.note(err)
	switch {
	case errors.Is(err, users.ErrGone):
		return nil, &tokens.GrantError{Reason: reasonUserDisabled}
	case err != nil:
		return nil, err
	case s.prints.of(user.Credential) != session.Credential:
		return nil, &tokens.GrantError{Reason: reasonPasswordChanged}
	}
	return user, nil
}

// endForUser ends the session where the user directory refused the refresh, and returns the
// refusal. The refusal holds whether or not the end is confirmed: the next refresh ends the session
// again.
func (s *Server) endForUser(x *exchange, session *tokens.Session, refused error) error {
	g, ok := errors.AsType[*tokens.GrantError](refused)
	if ok && (g.Reason == reasonUserDisabled || g.Reason == reasonPasswordChanged) {
		_, g.Unconfirmed = s.cfg.Store.EndSession(x, session.Tag, session.ID)
	}
	return refused
}

// rotate mints the new pair, seals it for a retry, and lets the store's script decide.
func (s *Server) rotate(x *exchange, r *refreshRequest) (issuedTokens, error) {
	minted, rotation, err := s.mintPair(x, r)
	if err != nil {
		return issuedTokens{}, err
	}
	rotated, err := s.cfg.Store.Rotate(x, rotation)
	if err != nil {
		s.sessions.Remove(r.old.Session)
		s.reportRefusedRefresh(x, r.old, err)
		return issuedTokens{}, err
	}
	x.issued = rotation.Access
	s.reportRefresh(x, r.old, rotated)
	if rotated.RetryResponse != nil {
		if err := s.repeatAnswer(x, r.text, rotated, &minted); err != nil {
			return issuedTokens{}, err
		}
	}
	ttl := rotation.Record.TTL
	if rotated.AccessTTL > 0 {
		ttl = min(ttl, rotated.AccessTTL)
	}
	return issuedTokens{access: minted.Access, refresh: minted.Refresh, scope: minted.Scope, ttl: ttl}, nil
}

// mintPair mints the pair that a successful rotation gives out, and says what the script needs.
func (s *Server) mintPair(x *exchange, r *refreshRequest) (refreshAnswer, *tokens.Rotation, error) {
	issued := s.now().Truncate(time.Second)
	left := r.session.Expires.Sub(issued).Truncate(time.Second) // no access token outlives its session
	minted := refreshAnswer{Scope: r.scope.String()}
	rotation := &tokens.Rotation{
		Old: r.old, ClientID: x.client.ID, ClientEpoch: x.client.Epoch,
		IdleTTL: s.idleTTL(x.client), RetryWindow: s.retryWindow(x.client),
		Record: &tokens.Record{Scope: minted.Scope, Audience: r.audience, Claims: r.claims, IssuedAt: issued,
			TTL: max(min(s.accessTTL(x.client), left), 0), Confirmation: x.shown},
		Shown: x.shown, Bind: x.client.Public(),
		Proof:       x.proof,
		RequestHash: hashRequest(r.asked, x.form["resource"], x.shown),
		Address:     x.coarseNetwork(), Outage: s.lastOutage(),
	}
	minted.Refresh, rotation.New = s.codec.NewRefresh(r.old.Tag, r.old.Session, r.old.Generation+1)
	var err error
	minted.Access, rotation.Access, err = s.mintUser(
		x.client, r.old.Tag, r.old.Session, r.session.UserEpoch, r.session.Subject, rotation.Record)
	if err != nil {
		return refreshAnswer{}, nil, err
	}
	rotation.RetryResponse, err = s.codec.SealRetryResponse(r.text, minted.sealable())
	return minted, rotation, err
}
