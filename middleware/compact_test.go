package middleware

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

// TestCompact: what a token says is the same in few pieces of memory, and no list of it reaches
// into another.
func TestCompact(t *testing.T) {
	full := func() *Token {
		return &Token{Subject: "anna-id", SubjectType: "user", Username: "Änna", ClientID: "app", Issuer: "https://auth.example.com", ID: "7",
			Session: "s-1", Scope: scopes.MustParse("orders:read orders:write"), Audience: []string{"https://a.example", "https://b.example"},
			ExpiresAt: time.Unix(9, 0), rev: []string{"u-1", "c-2"}, Claims: map[string]any{"plan": "gold"}, Actor: &Actor{Subject: "x"},
			Confirmation: Confirmation{KeyThumbprint: [32]byte{1}}}
	}
	for name, change := range map[string]func(*Token){
		"all members": func(*Token) {}, "nothing": func(t *Token) { *t = Token{} },
		"no audience": func(t *Token) { t.Audience = nil }, "no names": func(t *Token) { t.rev = nil },
		"no scope": func(t *Token) { t.Scope = scopes.Set{} }, "one scope": func(t *Token) { t.Scope = scopes.MustParse("a") },
		"empty texts": func(t *Token) { t.Subject, t.Session, t.Audience = "", "", []string{"", "x"} },
	} {
		t.Run(name, func(t *testing.T) {
			want, got := full(), full()
			change(want)
			change(got)
			got.compact()
			require.Equal(t, want, got)
			grown := append(got.Audience, "https://c.example") //nolint:gocritic // what a handler may do
			require.Equal(t, want.rev, got.rev, "an audience that is appended to overwrites no name")
			require.Len(t, grown, len(want.Audience)+1)
		})
	}
}

// TestRememberedTokensAreFewPieces: the garbage collector has little to look at. Without compact it
// is 13 pieces a token.
func TestRememberedTokensAreFewPieces(t *testing.T) {
	const tokens = 2000
	s := newFakeServer()
	f := s.follower(t)
	v := s.introspection(t, f)
	local := s.jwt(t, f, v)
	warm(t, f)
	for name, c := range map[string]struct {
		v     Verifier
		issue func(i int) string
	}{
		"opaque": {v, func(i int) string { text := fmt.Sprintf("gat_%043d", i); s.issue(text, time.Hour); return text }},
		"jwt":    {local, func(i int) string { return s.issueJWT(t, fmt.Sprint(i), nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			texts := make([]string, tokens)
			for i := range texts {
				texts[i] = c.issue(i)
			}
			before := heapObjects()
			for _, text := range texts {
				require.Equal(t, "good", verdict(t, c.v, text))
			}
			require.Less(t, float64(heapObjects()-before)/tokens, 8.0)
			runtime.KeepAlive(c.v)
		})
	}
}

func heapObjects() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapObjects
}
