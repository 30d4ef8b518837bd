package middleware

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

func TestEither(t *testing.T) {
	a := newIssuer(t)
	introspection, err := NewIntrospection(IntrospectionConfig{Issuer: a.URL, ClientID: "api", ClientSecret: "s", Timeout: time.Minute})
	require.NoError(t, err)
	s := serve(t, Config{Verifier: Either(introspection, a.verifier(t))})
	get := func(token string) int {
		return do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+token).StatusCode
	}
	t.Run("AT-10 one handler takes JWTs, which it does not ask about", func(t *testing.T) {
		require.Equal(t, 200, get(a.token(t, nil)))
		require.Zero(t, a.asked.Load())
	})
	t.Run("AT-10 and opaque tokens, which it does", func(t *testing.T) {
		a.says(`{"active":true,"scope":"orders:read","client_id":"m","sub":"m","aud":"` + api + `"}`)
		require.Equal(t, 200, get("gat_x"))
		require.EqualValues(t, 1, a.asked.Load())
		a.says(`{"active":false}`)
		require.Equal(t, 401, get("gat_x"))
	})
	t.Run("AT-11 a JWT that is refused is not shown to the other verifier", func(t *testing.T) {
		before := a.asked.Load()
		require.Equal(t, 401, get(part(`{"alg":"none","typ":"at+jwt"}`)+"."+part(`{}`)+".AAAA"))
		require.Equal(t, before, a.asked.Load())
	})
	t.Run("a missing verifier is a mistake of the program", func(t *testing.T) {
		require.Panics(t, func() { Either(nil, introspection) })
		require.Panics(t, func() { HighRisk(introspection, nil) })
	})
}

func TestHighRisk(t *testing.T) {
	a := newIssuer(t)
	introspection, err := NewIntrospection(IntrospectionConfig{Issuer: a.URL, ClientID: "api", ClientSecret: "s", Timeout: time.Minute})
	require.NoError(t, err)
	local := a.verifier(t)
	s := serve(t, Config{Verifier: Either(introspection, HighRisk(local, introspection))})
	get := func(path, token string) int {
		return do(t, "GET", s.URL+path, "", "Authorization: Bearer "+token).StatusCode
	}
	active := func(more string) {
		a.says(`{"active":true,"iss":"` + a.URL + `","scope":"orders:read orders:write","client_id":"app","sub":"u-1","jti":"j","aud":"` + api + `"` + more + `}`)
	}
	token := a.token(t, nil)
	t.Run("AT-20 BR-16 active by both: 200", func(t *testing.T) {
		active("")
		require.Equal(t, 200, get("/read", token))
	})
	t.Run("AT-20 BR-16 RFC 9068 §5 revoked: 401, though the JWT alone is good", func(t *testing.T) {
		a.says(`{"active":false}`)
		_, err := local.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, 401, get("/read", token))
	})
	t.Run("AT-04 a JWT that is bad is refused without a question", func(t *testing.T) {
		active("")
		before := a.asked.Load()
		require.Equal(t, 401, get("/read", a.token(t, map[string]any{"aud": "https://x"})))
		require.Equal(t, before, a.asked.Load())
	})
	t.Run("the narrower scope counts", func(t *testing.T) {
		active("")
		require.Equal(t, 403, get("/write", token))
		a.says(`{"active":true,"scope":"orders:write"}`)
		require.Equal(t, 403, get("/read", token))
	})
	t.Run("the earlier end counts", func(t *testing.T) {
		active(`,"exp":1`)
		require.Equal(t, 401, get("/read", token))
	})
	t.Run("an answer about another token is none", func(t *testing.T) {
		for _, other := range []string{`"sub":"u-2"`, `"client_id":"x"`, `"jti":"k"`, `"iss":"https://x"`} {
			a.says(`{"active":true,"scope":"orders:read",` + other + `}`)
			require.Equal(t, 401, get("/read", token), other)
		}
	})
	t.Run("BR-19 an introspection that fails: 503", func(t *testing.T) {
		a.says(`{}`)
		require.Equal(t, 503, get("/read", token))
	})
	t.Run("BR-22 the audience of the signed token counts", func(t *testing.T) {
		got, err := both(&Token{Audience: []string{"a"}, Scope: scopes.MustParse("x y")}, &Token{Audience: []string{"b"}, Scope: scopes.MustParse("y z"), ExpiresAt: time.Unix(9, 0)})
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, got.Audience)
		require.Equal(t, "y", got.Scope.String())
		require.Equal(t, int64(9), got.ExpiresAt.Unix())
		_, err = both(nil, &Token{})
		require.ErrorIs(t, err, ErrInvalidToken)
	})
	t.Run("no error holds the token", func(t *testing.T) {
		a.says(`{}`)
		_, err := HighRisk(local, introspection).Verify(t.Context(), token)
		require.False(t, strings.Contains(err.Error(), token))
	})
}
