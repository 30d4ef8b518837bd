package server

import "github.com/grantor-auth/grantor/scopes"

// The scope grantor:sessions is power over oneself: a user's token with it lists and ends the
// sessions of its user. A login asks for it beside others. The session is then granted all, and
// each access token carries either the others or grantor:sessions alone (RFC 9700 §2.3): a refresh
// with scope=grantor:sessions gets the latter (RFC 6749 §6).

// sessionsAudience is the aud of tokens with grantor:sessions: the URL of what takes them.
func (s *Server) sessionsAudience() string { return s.cfg.Issuer + pathSessions }

// isOwnSessions says whether a scope is grantor:sessions alone.
func isOwnSessions(scope scopes.Set) bool { return scope.Len() == 1 && scope.Has(scopes.ScopeSessions) }

// takeApart divides a scope into what one access token carries and what stands apart from it.
func takeApart(granted scopes.Set) (together, apart scopes.Set) {
	own := func(t string) bool { return t == scopes.ScopeSessions }
	if apart = granted.Filter(own); apart.Len() == granted.Len() {
		return granted, scopes.Set{}
	}
	return granted.Minus(apart), apart
}

// ofLogin returns what the first access token of a login may carry, and leaves what the session is
// granted beside it in the exchange.
func (s *Server) ofLogin(x *exchange, granted scopes.Set) (scopes.Set, error) {
	together, apart := takeApart(granted)
	x.session.apart = apart
	together, err := standsAlone(together)
	if err != nil {
		return scopes.Set{}, err
	}
	return s.userScope(x.session.user, together)
}

// ofMachine refuses a client's own token what only users' tokens may carry.
func ofMachine(granted scopes.Set) (scopes.Set, error) {
	if granted.Has(scopes.ScopeSessions) {
		return scopes.Set{}, refusal(codeInvalidScope,
			"%s is for the tokens of users: ask for it at a login (grant_type=password)", scopes.ScopeSessions)
	}
	return standsAlone(granted)
}
