package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// login is a session and its tokens.
type login struct {
	user    int
	app     string
	jwt     bool
	refresh string
	grants  []*grant
}

// logIn logs a user in with an app, and refreshes so often.
func (e *ender) logIn(name string, refreshes int) (l *login, ok bool) {
	l = &login{app: "app", jwt: e.rng.IntN(2) == 0}
	if l.jwt {
		l.app = "jwt-app"
	}
	select {
	case l.user = <-e.free:
	case <-e.ctx.Done():
		return nil, false
	}
	a, ok := e.try(func(n *liveNode, _ bool) (answer, bool) {
		return is200(e.c.post(e.ctx, n.now.Load().URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {l.app},
			"username": {fmt.Sprintf("user-%d", l.user)}, "password": {password}}))
	})
	if !ok {
		return nil, false
	}
	l.refresh = a.Refresh
	l.grants = append(l.grants, e.grant(name, "", l.jwt, a))
	for range refreshes {
		e.wait(time.Duration(e.rng.IntN(300)) * time.Millisecond)
		if !e.rotate(name, l) {
			e.abandon(l)
			return nil, false
		}
	}
	return l, true
}

// rotate refreshes, and says whether it could: a primary may have taken the session with it.
func (e *ender) rotate(name string, l *login) bool {
	a, ok := e.try(func(n *liveNode, _ bool) (answer, bool) {
		a := e.useRefresh(n, l.app, l.refresh)
		return a, a.status == 200 || a.status == 400
	})
	if !ok || a.status != 200 {
		return false
	}
	l.refresh = a.Refresh
	l.grants = append(l.grants, e.grant(name, "", l.jwt, a))
	return true
}

func (e *ender) useRefresh(n *liveNode, app, token string) answer {
	return e.c.post(e.ctx, n.now.Load().URL+"/oauth2/token", "", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {app}, "refresh_token": {token}})
}

// abandon gives up a session of which nobody can tell whether it lives.
func (e *ender) abandon(l *login) {
	for _, g := range l.grants {
		g.ask(e.now())
	}
	e.end("", l.grants)
	e.free <- l.user
}

// withSession logs in, lets the tokens live, and ends them.
func (e *ender) withSession(name string, end func(l *login) func(n *liveNode, again bool) (answer, bool)) {
	l, ok := e.logIn(name, e.rng.IntN(3))
	if !ok {
		return
	}
	ask := end(l)
	if ask == nil {
		e.abandon(l)
		return
	}
	e.finish(name, l.grants, ask)
	e.free <- l.user
}

func (e *ender) revokeOf(l *login, token string) func(n *liveNode, _ bool) (answer, bool) {
	return func(n *liveNode, _ bool) (answer, bool) {
		return is200(e.c.post(e.ctx, n.now.Load().URL+"/oauth2/revoke", "", "", url.Values{"client_id": {l.app}, "token": {token}}))
	}
}

// revokesAccess ends one token of a session, and then the session.
func (e *ender) revokesAccess(name string) {
	e.withSession(name, func(l *login) func(n *liveNode, again bool) (answer, bool) {
		last := len(l.grants) - 1
		first := l.grants[last]
		l.grants = l.grants[:last]
		e.finish(name, []*grant{first}, e.revokeOf(l, first.text))
		return e.revokeOf(l, l.refresh)
	})
}

func (e *ender) revokesRefresh(name string) {
	e.withSession(name, func(l *login) func(n *liveNode, again bool) (answer, bool) { return e.revokeOf(l, l.refresh) })
}

func (e *ender) endsUser(name string) {
	e.withSession(name, func(l *login) func(n *liveNode, again bool) (answer, bool) {
		return e.administer(http.MethodDelete, fmt.Sprintf("/users/u-%d/sessions", l.user), nil)
	})
}

func (e *ender) endsSession(name string) {
	e.withSession(name, func(l *login) func(n *liveNode, again bool) (answer, bool) {
		where := fmt.Sprintf("/users/u-%d/sessions", l.user)
		a, ok := e.try(e.administer(http.MethodGet, where, nil))
		var found struct {
			Sessions []struct{ Session string }
		}
		if !ok || json.Unmarshal([]byte(a.body), &found) != nil || len(found.Sessions) != 1 {
			return nil // a session that was lost with a primary, or whose login was not answered and made all the same
		}
		return e.administer(http.MethodDelete, where+"/"+found.Sessions[0].Session, nil)
	})
}

// reuses uses a refresh token whose successor was used: a thief's. That ends the session. The
// refusal is not kept back when Redis cannot take the end now, so the session is revoked too: where
// it has ended this appends nothing, and is answered 200 when the end is confirmed.
func (e *ender) reuses(name string) {
	e.withSession(name, func(l *login) func(n *liveNode, again bool) (answer, bool) {
		first := l.refresh
		if !e.rotate(name, l) || !e.rotate(name, l) {
			return nil
		}
		revoke, refused := e.revokeOf(l, l.refresh), false
		return func(n *liveNode, again bool) (answer, bool) {
			if !refused {
				a := e.useRefresh(n, l.app, first)
				if refused = a.status == 400 && a.Code == "invalid_grant"; !refused {
					return a, false
				}
			}
			return revoke(n, again)
		}
	})
}
