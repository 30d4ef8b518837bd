package server

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	oauth2 "github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// sealed is the answer that a box holds for the one who lost it.
type sealed struct {
	Refresh string `json:"r"`
	Access  string `json:"a"`
	Scope   string `json:"s"`
}

// box is the answer as Seal takes it.
func (a sealed) box() []byte {
	b := append(make(jsonobject.Object, tokens.RetryResponseHead, 512), '{') // Name would take what is before for members
	b = jsonobject.AppendText(append(b, `"r":`...), a.Refresh)
	b = jsonobject.AppendText(append(b, `,"a":`...), a.Access)
	b = jsonobject.AppendText(append(b, `,"s":`...), a.Scope)
	return append(b, '}')
}

// refresh uses a refresh token (RFC 6749 §6): nothing is written, and nothing burnt, before client, user, scope and
// audience are found good; then one script decides.
func (s *Server) refresh(x *exchange, text, scope string) (oauth2.TokenInfo, error) {
	old, err := s.parse(x, text)
	if err != nil && !errors.Is(err, tokens.ErrNotOurs) {
		return nil, err
	}
	if err != nil || old.Kind != tokens.Refresh {
		return nil, &Error{Code: codeInvalidGrant, Description: "this is no refresh token of this server", Reason: "not_ours"}
	}
	f, granted, audience, err := s.judgeRefresh(x, old, scope)
	if err != nil {
		return nil, err
	}
	return s.rotate(x, text, old, f, granted, audience, scope)
}

// judgeRefresh says what a refresh may carry, by what is remembered of its family or else by the store. What it is refused for here
// has used nothing up: it may be asked again.
func (s *Server) judgeRefresh(x *exchange, old tokens.Token, scope string) (*tokens.Session, scopes.Set, []string, error) {
	defer s.overload.leaveRefresh()
	if err := s.overload.enterRefresh(); err != nil {
		return nil, scopes.Set{}, nil, err
	}
	if f, known := s.sessions.of(old); known {
		granted, audience, err := s.mayRefresh(x, f, scope)
		if err == nil || !isRefusal(err) {
			return f, granted, audience, err
		}
		s.sessions.Remove(old.Session)
	}
	f, err := s.cfg.Store.Session(x, old)
	if errors.Is(err, tokens.ErrNotFound) {
		return nil, scopes.Set{}, nil, &tokens.GrantError{Reason: tokens.ReasonNoSession}
	}
	if err != nil {
		return nil, scopes.Set{}, nil, err
	}
	granted, audience, err := s.mayRefresh(x, f, scope)
	if err != nil {
		return nil, scopes.Set{}, nil, s.endedBy(x, f, err)
	}
	s.sessions.remember(f)
	return f, granted, audience, nil
}

// mayRefresh says what a refresh may carry by all that the store does not judge, and changes nothing.
func (s *Server) mayRefresh(x *exchange, f *tokens.Session, scope string) (scopes.Set, []string, error) {
	switch {
	case f.ClientID != x.client.ID:
		return scopes.Set{}, nil, &tokens.GrantError{Reason: tokens.ReasonOtherClient}
	case f.Created.Before(s.cfg.NotBefore):
		return scopes.Set{}, nil, &tokens.GrantError{Reason: tokens.ReasonEnded}
	}
	user, err := s.recheckUser(x, f)
	if err != nil {
		return scopes.Set{}, nil, err
	}
	return s.refreshScope(x, f, user, scope)
}

// Reasons of the directory that end a family.
const (
	reasonUserDisabled    tokens.Reason = "user_disabled"
	reasonPasswordChanged tokens.Reason = "password_changed"
)

// recheckUser asks the directory anew: a user who is gone or disabled, or whose password changed, ends the
// family. A directory that cannot say ends nothing.
func (s *Server) recheckUser(x *exchange, f *tokens.Session) (*users.User, error) {
	user, err := s.cfg.Users.Recheck(x, f.Subject)
	s.outages.note(err)
	switch {
	case errors.Is(err, users.ErrGone):
		return nil, &tokens.GrantError{Reason: reasonUserDisabled}
	case err != nil:
		return nil, err
	}
	if s.prints.of(user.Credential) != f.Credential {
		return nil, &tokens.GrantError{Reason: reasonPasswordChanged}
	}
	return user, nil
}

// endedBy ends the family where the directory's word does, and returns the refusal that says why: it holds whether or not the end
// is confirmed, which is asked for again until it is.
func (s *Server) endedBy(x *exchange, f *tokens.Session, why error) error {
	g, ok := errors.AsType[*tokens.GrantError](why)
	if !ok || g.Reason != reasonUserDisabled && g.Reason != reasonPasswordChanged {
		return why
	}
	_, g.Unconfirmed = s.cfg.Store.EndSession(x, f.Tag, f.ID)
	return why
}

// refreshScope returns what the new access token may carry: within the original grant (RFC 6749 §6), and of that what
// client and user may still have.
func (s *Server) refreshScope(x *exchange, f *tokens.Session, u *users.User, scope string) (scopes.Set, []string, error) {
	original, err := scopes.ParseGranted(f.Scope)
	if err != nil {
		return scopes.Set{}, nil, fmt.Errorf("%w: scope", tokens.ErrRecord)
	}
	asked, err := askedScope(scope)
	if err != nil {
		return scopes.Set{}, nil, err
	}
	for t := range asked.All() {
		if !original.Has(t) {
			return scopes.Set{}, nil, refusal(codeInvalidScope, "%s was not granted at the login, and a refresh cannot ask for more (RFC 6749 §6)", named("the scope", t, "a scope that was asked for"))
		}
	}
	if asked.IsEmpty() {
		asked = original
	}
	granted := s.cfg.Catalogue.Expand(asked).Intersect(original).Filter(func(t string) bool {
		return s.cfg.Catalogue.Has(t) && s.cfg.Catalogue.Permits(x.client.Scope, t)
	})
	if granted.IsEmpty() && !original.IsEmpty() {
		return scopes.Set{}, nil, refusal(codeInvalidScope, "this client may no longer have any of these scopes")
	}
	if granted, err = s.userScope(u, granted); err != nil {
		return scopes.Set{}, nil, err
	}
	granted, audience, err := s.narrowToResources(x.client, granted, x.form["resource"])
	if err != nil {
		return scopes.Set{}, nil, err
	}
	if slices.ContainsFunc(x.form["resource"], func(r string) bool { return !slices.Contains(f.Audience, r) }) {
		return scopes.Set{}, nil, refusal(codeInvalidTarget, "a refresh cannot ask for a resource that the log-in was not granted (RFC 8707 §2.2)")
	}
	audience = slices.DeleteFunc(audience, func(a string) bool { return !slices.Contains(f.Audience, a) })
	return granted, audience, nil
}

// rotate draws the new pair, seals it for a retry, and lets the store decide.
func (s *Server) rotate(x *exchange, text string, old tokens.Token, f *tokens.Session, granted scopes.Set, audience []string, asked string) (oauth2.TokenInfo, error) {
	answer := sealed{Scope: granted.String()}
	issued := s.now().Truncate(time.Second)
	life := max(min(s.accessTTL(x.client), f.Expires.Sub(issued).Truncate(time.Second)), 0) // no access token outlives its session
	r := &tokens.Rotation{
		Old: old, ClientID: x.client.ID, ClientEpoch: x.client.Epoch, IdleTTL: s.idleTTL(x.client), RetryWindow: s.retryWindow(x.client),
		Record:      &tokens.Record{Scope: answer.Scope, Audience: audience, IssuedAt: issued, TTL: life},
		RequestHash: askOf(asked, x.form["resource"]),
		Address:     x.coarseNetwork(), Outage: s.outages.last(),
	}
	answer.Refresh, r.New = s.codec.NewRefresh(old.Tag, old.Session, old.Generation+1)
	var err error
	if answer.Access, r.Access, err = s.mintUser(x, old.Tag, old.Session, f.Subject, r.Record); err != nil {
		return nil, err
	}
	if r.RetryResponse, err = s.codec.SealRetryResponse(text, answer.box()); err != nil {
		return nil, err
	}
	out, err := s.cfg.Store.Rotate(x, r)
	if err != nil {
		s.sessions.Remove(old.Session)
		s.reportTheft(x, old, err)
		return nil, err
	}
	x.issued = r.Access
	s.reportRotation(x, old, out)
	if out.RetryResponse != nil {
		first, err := s.open(text, out.RetryResponse)
		if err != nil {
			return nil, err
		}
		answer.Refresh = first.Refresh
		if !out.NewAccess {
			answer = first
			if x.issued, err = s.read(x, first.Access); err != nil {
				return nil, err
			}
		}
	}
	x.left = out.AccessTTL
	return tokenInfo(answer, r.Record.TTL), nil
}

func (s *Server) open(text string, box []byte) (answer sealed, err error) {
	plain, err := s.codec.OpenRetryResponse(text, box)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(plain, &answer)
}

// reportRotation counts a use of a refresh token, and tells what is not the usual case.
func (s *Server) reportRotation(x *exchange, old tokens.Token, out *tokens.Rotated) {
	switch {
	case out.Reissued:
		s.cfg.Metrics.Refreshed(metrics.RefreshReissued)
		x.note = "retry_after_outage"
	case out.RetryResponse == nil:
		s.cfg.Metrics.Refreshed(metrics.RefreshRotated)
	case !out.Suspicious:
		s.cfg.Metrics.Refreshed(metrics.RefreshRetried)
	default:
		s.cfg.Metrics.Refreshed(metrics.RefreshSuspicious)
		s.record(x, audit.Event{Event: audit.RetrySuspicious, Subject: old.Tag.String(), Session: old.Session.String()})
		s.log.WarnContext(x, "suspicious retry of a refresh: from another network, or late", "request_id", x.id, "client_id", x.client.ID,
			"session", old.Session.String(), "peer", x.clientIP())
	}
}

// reportTheft says aloud what ends families: a reused token may be a thief's.
func (s *Server) reportTheft(x *exchange, old tokens.Token, err error) {
	g, ok := errors.AsType[*tokens.GrantError](err)
	if ok {
		s.recordRefresh(g.Reason)
	}
	if !ok || g.Reason != tokens.ReasonReuse && g.Reason != tokens.ReasonLostRotation {
		return
	}
	event := audit.ReuseDetected
	if g.Reason == tokens.ReasonLostRotation {
		event = audit.RotationLost
	}
	s.record(x, audit.Event{Event: event, Reason: string(g.Reason), Subject: old.Tag.String(), Session: old.Session.String()})
	s.log.WarnContext(x, "a session was ended", "reason", string(g.Reason), "request_id", x.id,
		"client_id", x.client.ID, "session", old.Session.String(), "peer", x.clientIP(), "end_confirmed", g.Unconfirmed == nil)
}

// askOf names what a refresh asked for: a retry gets the same answer only for the same question.
func askOf(scope string, resources []string) [16]byte {
	set, _ := scopes.Parse(scope) // well formed, see refreshScope
	sorted := slices.Clone(resources)
	slices.Sort(sorted)
	sum := sha256.Sum256([]byte(set.String() + "\x00" + strings.Join(sorted, "\x00")))
	return [16]byte(sum[:16])
}

func tokenInfo(a sealed, ttl time.Duration) oauth2.TokenInfo {
	info := &models.Token{} // without the extensions of NewToken: none are used
	info.SetAccess(a.Access)
	info.SetAccessExpiresIn(ttl)
	info.SetRefresh(a.Refresh)
	info.SetScope(a.Scope)
	return info
}
