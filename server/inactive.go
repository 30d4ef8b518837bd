package server

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// errInactive: the token is not active, whatever the reason. It is an answer and not a fault.
var errInactive = errors.New("inactive")

// inactiveReason is errInactive with the reason, for log and metrics alone: the caller is told
// {"active":false} and nothing else (RFC 7662 §2.2).
type inactiveReason string

func (r inactiveReason) Error() string { return "inactive: " + string(r) }

// Is makes each reason an errInactive.
func (inactiveReason) Is(target error) bool { return target == errInactive } //nolint:errorlint // as errors.Is demands

// The reasons. Those of a client have the names that a refused token request has.
const (
	inactiveNotOurs       inactiveReason = "not_ours"              // no text of this server, or a changed one
	inactiveNotAccess     inactiveReason = "not_access_token"      // a refresh token, where only access tokens count
	inactiveExpired       inactiveReason = "expired"               // by its own text, or by its record
	inactiveRecordGone    inactiveReason = "expired_or_revoked"    // its record is gone, and its text has no end
	inactiveRevoked       inactiveReason = "revoked_or_forged"     // a JWT that names an end to come, without a record
	inactiveSession       inactiveReason = "session_ended"         // logout, reuse, or unused for too long
	inactiveAllSessions   inactiveReason = "all_sessions_ended"    // logout everywhere, new password, disabled
	inactiveNotBefore     inactiveReason = "not_before"            // issued before [tokens] not_before
	inactiveClient        inactiveReason = "unknown_client"        // its client was deleted
	inactiveDisabled      inactiveReason = "client_disabled"       // its client is disabled
	inactiveClientRevoked inactiveReason = "client_tokens_revoked" // of its client: all, or disabled and enabled since
	inactiveGrant         inactiveReason = "grant_not_allowed"     // its client lost the grant type
	inactiveParent        inactiveReason = "exchanged_from_ended"  // a token that it was exchanged from has ended
	inactiveExchange      inactiveReason = "exchange_not_allowed"  // the policy of a client that exchanged allows it no more
	inactiveScope         inactiveReason = "scope_not_allowed"     // its client lost every scope of the token
	inactiveAudience      inactiveReason = "wrong_audience"        // introspect = "audience", and aud lacks the caller's resource
	inactiveOwn           inactiveReason = "introspect_own"        // introspect = "own", and another client's token
	inactiveOthers        inactiveReason = "other_clients_token"   // a refresh token of another client
	inactiveUsed          inactiveReason = "refresh_token_used"    // a newer refresh token of the session exists
	inactiveNetworks      inactiveReason = "allowed_networks"      // an API key for some networks, which the caller does not check
	inactiveLost          inactiveReason = "refresh_rotation_lost" // newer than the session: Redis lost a rotation
)

// inactiveReasons are those that an introspection can have: the values of the metric's label.
var inactiveReasons = []inactiveReason{
	inactiveNotOurs, inactiveExpired, inactiveRecordGone, inactiveRevoked,
	inactiveSession, inactiveAllSessions, inactiveNotBefore, inactiveClient, inactiveDisabled,
	inactiveClientRevoked, inactiveGrant, inactiveScope, inactiveAudience, inactiveOwn, inactiveOthers,
	inactiveUsed, inactiveLost, inactiveNetworks, inactiveParent, inactiveExchange,
}

// whyGone is the reason of a token without a record. exp is the end that the text of a JWT names.
func (s *Server) whyGone(p presented, err error) inactiveReason {
	switch {
	case p.jwt != "" && p.exp <= s.now().Unix():
		return inactiveExpired
	case errors.Is(err, tokens.ErrParentGone):
		return inactiveParent
	case errors.Is(err, tokens.ErrUserEnded):
		return inactiveAllSessions
	case errors.Is(err, tokens.ErrSessionGone):
		return inactiveSession
	case p.jwt != "":
		return inactiveRevoked
	}
	return inactiveRecordGone
}

// whyHidden is the reason why a caller may not see an access token; "": it may (RFC 7662 §2.2, §4).
// A token without an aud is seen by its own client, and by clients with introspect = "any".
func whyHidden(caller *clients.Client, r *tokens.Record) inactiveReason {
	switch {
	case caller == nil:
		return inactiveOwn
	case caller.ID == r.ClientID, caller.Introspect == clients.SightAny:
		return ""
	case caller.Introspect != clients.SightAudience:
		return inactiveOwn
	case caller.Resource == "" || !scopes.Names(r.Audience, caller.Resource):
		return inactiveAudience
	}
	return ""
}

// notActive answers for every token that is not active, or that the caller may not see. The reason
// goes to the metric, to the request's line at debug level, and sampled to a line at info level.
func (s *Server) notActive(x *exchange, t tokens.Token, why error) error {
	reason := inactiveRecordGone
	if r, ok := errors.AsType[inactiveReason](why); ok {
		reason = r
	}
	x.reason, x.inactive = Reason(reason), t
	s.cfg.Metrics.Introspected(false, string(reason))
	if skipped, ok := s.inactiveLines.take(reason, time.Now()); ok {
		s.log.LogAttrs(x, slog.LevelInfo, "token inactive", append(inactiveAttrs(x),
			slog.Uint64("skipped", skipped))...)
	}
	return s.answerIntrospection(x, inactive())
}

// inactiveAttrs name the token as the trail does: by its jti or its session, never by its text.
func inactiveAttrs(x *exchange) []slog.Attr {
	attrs := []slog.Attr{slog.String("request_id", x.id), slog.String("reason", string(x.reason)),
		slog.String("client_id", x.client.ID)}
	return append(attrs, tokenAttrs(x.inactive)...)
}

// tokenAttrs name a token in the log; none: the text is no token of this server.
func tokenAttrs(t tokens.Token) (attrs []slog.Attr) {
	if t.Kind == 0 {
		return nil
	}
	if t.Kind != tokens.Refresh {
		attrs = append(attrs, slog.String("jti", t.Name()))
	}
	if t.Kind == tokens.UserAccess || t.Kind == tokens.Refresh {
		attrs = append(attrs, slog.String("session", t.Session.String()), slog.String("subject_hash", t.Tag.String()))
	}
	return attrs
}

// inactiveEvery is how long a reason's next line at info level waits.
const inactiveEvery = 10 * time.Second

// inactiveLines sample the log: of each reason one line in inactiveEvery. So the lines are at most
// two a second, whatever callers present.
type inactiveLines struct {
	of map[inactiveReason]*inactiveLine // is never changed
}

// inactiveLine is when a reason was logged last, and how many were left out since.
type inactiveLine struct {
	last    atomic.Int64 // Unix nanoseconds
	skipped atomic.Uint64
}

func newInactiveLines() inactiveLines {
	l := inactiveLines{map[inactiveReason]*inactiveLine{}}
	for _, r := range inactiveReasons {
		l.of[r] = &inactiveLine{}
	}
	return l
}

// take says whether to log a line of this reason, and how many lines were left out before it.
func (l inactiveLines) take(reason inactiveReason, now time.Time) (skipped uint64, ok bool) {
	line := l.of[reason]
	if line == nil {
		return 0, false
	}
	last := line.last.Load()
	if now.UnixNano()-last < int64(inactiveEvery) || !line.last.CompareAndSwap(last, now.UnixNano()) {
		line.skipped.Add(1)
		return 0, false
	}
	return line.skipped.Swap(0), true
}

// countInactive makes the metric's series exist from the start.
func countInactive(m *metrics.Metrics) {
	for _, r := range inactiveReasons {
		m.InactiveReason(string(r))
	}
}
