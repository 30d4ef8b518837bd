package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// RunExchanges runs the suite of exchanged tokens (RFC 8693); see Run.
func RunExchanges(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	for _, kind := range []string{"user", "machine"} {
		t.Run("RFC 8693 exchanged tokens of a "+kind, func(t *testing.T) {
			testExchangedRecords(t, open, kind)
			testExchangedEnds(t, open, kind)
			testExchangedOwners(t, open, kind)
		})
	}
	testExchangedSession(t, open)
	testForeignSubject(t, open)
}

// exchanges is a token and those that were exchanged from it, one from the other, on two nodes.
type exchanges struct {
	a, b   tokens.Store
	device *device // of a user
	list   []tokens.Token
}

// newExchanges issues a token and so many that came from it.
func newExchanges(t *testing.T, open func(t *testing.T) (node func() tokens.Store), kind string, depth int) *exchanges {
	t.Helper()
	node := open(t)
	e := &exchanges{a: node(), b: node()}
	e.device = newDevice(t, e.a)
	if kind == "user" {
		access, _ := e.device.login()
		e.list = append(e.list, access)
	} else {
		tok, _ := issue(t, e.a, time.Minute)
		e.list = append(e.list, tok)
	}
	for i := range depth {
		e.exchange(t, fmt.Sprintf("service-%d", i+1))
	}
	return e
}

// exchange issues one more token for a client.
func (e *exchanges) exchange(t *testing.T, clientID string) {
	t.Helper()
	tok := e.mint()
	require.NoError(t, e.a.Issue(t.Context(), tok, e.record(clientID)))
	e.list = append(e.list, tok)
}

func (e *exchanges) mint() (tok tokens.Token) {
	if e.list[0].Kind == tokens.UserAccess {
		_, tok = e.device.codec.NewUserAccess(e.device.tag, e.device.session)
	} else {
		_, tok = e.device.codec.NewClientAccess()
	}
	return tok
}

func (e *exchanges) record(clientID string) *tokens.Record {
	r := &tokens.Record{ClientID: clientID, ClientEpoch: tokens.Epoch{8}, Scope: "orders:read", Audience: []string{"https://orders.example.com"},
		IssuedAt: time.Now().Truncate(time.Second), TTL: 50 * time.Second,
		Exchange: &tokens.Exchange{Actor: "actor-of-" + clientID, ActorEpoch: tokens.Epoch{9}}}
	for _, p := range e.list {
		r.Exchange.Parents = append(r.Exchange.Parents, tokens.Parent{Hash: p.Hash})
	}
	return r
}

func (e *exchanges) owner(i int) string {
	switch {
	case i > 0:
		return fmt.Sprintf("service-%d", i)
	case e.list[0].Kind == tokens.UserAccess:
		return client
	}
	return "billing-job"
}

// testExchangedRecords: what Load returns says whose the token is, and all that it came from.
func testExchangedRecords(t *testing.T, open func(t *testing.T) (node func() tokens.Store), kind string) {
	t.Helper()
	e := newExchanges(t, open, kind, 3)
	for i, tok := range e.list {
		r, err := e.b.Load(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, e.owner(i), r.ClientID)
		require.Equal(t, i, r.Exchange.Depth())
		subject, subjectType := r.Sub()
		if kind == "user" {
			require.Equal(t, []string{"u-1", tokens.SubjectUser, "ada"}, []string{subject, subjectType, r.Username})
			require.Equal(t, e.device.epoch, r.UserEpoch)
			require.Equal(t, e.device.session, r.Session)
		} else {
			require.Equal(t, []string{"billing-job", tokens.SubjectClient}, []string{subject, subjectType})
		}
		if i == 0 {
			require.Nil(t, r.Exchange)
			continue
		}
		require.Equal(t, tokens.Epoch{8}, r.ClientEpoch)
		require.Equal(t, "actor-of-"+e.owner(i), r.Exchange.Actor)
		require.Equal(t, tokens.Epoch{9}, r.Exchange.ActorEpoch)
		require.Len(t, r.Exchange.Chain, i)
		for k, p := range r.Exchange.Chain {
			require.Equal(t, e.owner(k), p.ClientID)
			require.Equal(t, k, p.Exchange.Depth())
			require.Equal(t, e.list[k].Hash, r.Exchange.Parents[k].Hash)
		}
	}
	t.Run("every shape of record comes back", func(t *testing.T) { e.shapes(t) })
}

func (e *exchanges) shapes(t *testing.T) {
	t.Helper()
	for _, change := range []func(*tokens.Record){
		func(r *tokens.Record) { r.Exchange.Actor, r.Exchange.ActorEpoch = "", tokens.Epoch{} },
		func(r *tokens.Record) { r.Scope, r.Audience = "", nil },
		func(r *tokens.Record) { r.Claims, r.JWTDigest = `{"tenant":"t-1"}`, tokens.DigestOf("x.y.z") },
		func(r *tokens.Record) { r.Exchange.Parents = r.Exchange.Parents[:1]; r.Exchange.Parents[0].JWT = true },
	} {
		tok, want := e.mint(), e.record("shape")
		change(want)
		require.NoError(t, e.a.Issue(t.Context(), tok, want))
		got, err := e.b.Load(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, want.Exchange.Parents, got.Exchange.Parents)
		require.Equal(t, []any{want.Scope, want.Audience, want.Claims, want.JWTDigest, want.Exchange.Actor, want.TTL, want.IssuedAt.Unix()},
			[]any{got.Scope, got.Audience, got.Claims, got.JWTDigest, got.Exchange.Actor, got.TTL, got.IssuedAt.Unix()})
	}
}

// testExchangedEnds: the end of one token ends all that came from it, at once on all nodes, and no
// other.
func testExchangedEnds(t *testing.T, open func(t *testing.T) (node func() tokens.Store), kind string) {
	t.Helper()
	for end := range 4 {
		t.Run(fmt.Sprintf("TX-09 the end of token %d of a chain ends what came from it, and nothing before it", end), func(t *testing.T) {
			e := newExchanges(t, open, kind, 3)
			ended, err := e.a.Revoke(t.Context(), e.list[end], e.owner(end))
			require.NoError(t, err)
			require.True(t, ended)
			for i, tok := range e.list {
				_, err := e.b.Load(t.Context(), tok)
				switch {
				case i < end:
					require.NoError(t, err, i)
				case i == end:
					require.ErrorIs(t, err, tokens.ErrRecordGone, i)
				default:
					require.ErrorIs(t, err, tokens.ErrParentGone, i)
					require.ErrorIs(t, err, tokens.ErrNotFound, i)
				}
			}
		})
	}
}

// testExchangedOwners: RFC 7009 §2.1, the client that exchanged is the owner.
func testExchangedOwners(t *testing.T, open func(t *testing.T) (node func() tokens.Store), kind string) {
	t.Helper()
	t.Run("RV-08 nobody but the client that exchanged revokes the token by itself", func(t *testing.T) {
		e := newExchanges(t, open, kind, 2)
		last := e.list[2]
		for _, other := range []string{"", e.owner(0), e.owner(1), e.owner(2) + "x", "service-", "actor-of-service-2"} {
			ended, err := e.b.Revoke(t.Context(), last, other)
			require.NoError(t, err, other)
			require.False(t, ended, other)
		}
		_, err := e.b.Load(t.Context(), last)
		require.NoError(t, err)
		for i := range 2 {
			ended, err := e.b.Revoke(t.Context(), last, e.owner(2))
			require.NoError(t, err)
			require.Equal(t, i == 0, ended)
		}
	})
}

// testExchangedSession: the exchanged tokens of a user are tokens of the session.
func testExchangedSession(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	for _, c := range []struct {
		name string
		end  func(e *exchanges) error
		want error
	}{
		{"the logout of the session", func(e *exchanges) error {
			_, err := e.a.EndSession(t.Context(), e.device.tag, e.device.session)
			return err
		}, tokens.ErrSessionGone},
		{"the logout of the user everywhere", func(e *exchanges) error { return e.a.EndUser(t.Context(), e.device.tag) }, tokens.ErrUserEnded},
	} {
		t.Run("TX-09 "+c.name+" ends a chain of three exchanges at once, on the other node", func(t *testing.T) {
			e := newExchanges(t, open, "user", 3)
			require.NoError(t, c.end(e))
			for _, tok := range e.list {
				_, err := e.b.Load(t.Context(), tok)
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

// testForeignSubject: a token from another issuer's JWT, and one from it.
func testForeignSubject(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("RFC 8693 §2.1 a token from a trusted issuer's JWT says whose subject it is for", func(t *testing.T) {
		node := open(t)
		e := &exchanges{a: node(), b: node()}
		e.device = newDevice(t, e.a)
		tok := mint(t, e.a)
		r := e.record("service-0")
		r.Exchange.Issuer, r.Exchange.Subject = "https://idp.example.com", "u-77"
		require.NoError(t, e.a.Issue(t.Context(), tok, r))
		e.list = append(e.list, tok)
		e.exchange(t, "service-1")
		for i, tok := range e.list {
			got, err := e.b.Load(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, i+1, got.Exchange.Depth())
			subject, subjectType := got.Sub()
			require.Equal(t, []string{"https://idp.example.com|u-77", tokens.SubjectForeign}, []string{subject, subjectType})
		}
		ended, err := e.a.Revoke(t.Context(), e.list[0], "service-0")
		require.NoError(t, err)
		require.True(t, ended)
		_, err = e.b.Load(t.Context(), e.list[1])
		require.ErrorIs(t, err, tokens.ErrParentGone)
	})
}
