package grantortest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

// verifiers are all ways by which an API learns of claims.
func verifiers(t *testing.T, srv *grantortest.Server, isJWT bool) map[string]middleware.Verifier {
	t.Helper()
	follower, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: srv.Issuer, ClientID: srv.API.ID, ClientSecret: srv.API.Secret})
	require.NoError(t, err)
	t.Cleanup(follower.Close)
	introspection := middleware.IntrospectionConfig{Issuer: srv.Issuer, ClientID: srv.API.ID, ClientSecret: srv.API.Secret}
	plain, err := middleware.NewIntrospection(introspection)
	require.NoError(t, err)
	introspection.Follow = follower
	live, err := middleware.NewIntrospection(introspection)
	require.NoError(t, err)
	all := map[string]middleware.Verifier{"in-process": srv.Verifier(), "introspection": plain, "live introspection": live}
	if !isJWT {
		return all
	}
	for name, follow := range map[string]*middleware.Follower{"JWT": nil, "live JWT": follower} {
		cfg := middleware.JWTConfig{Issuer: srv.Issuer, Audience: "https://orders.example.com", Follow: follow}
		if follow != nil {
			cfg.Ask = live
		}
		v, err := middleware.NewJWT(cfg)
		require.NoError(t, err)
		t.Cleanup(v.Close)
		all[name] = v
	}
	return all
}

func TestClaims(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: "https://orders.example.com"})
	want := map[string]any{"tenant_id": "t-7", "limits": map[string]any{"seats": 3.0}}
	given := map[string]any{"tenant_id": "t-7", "limits": map[string]any{"seats": 3}}
	for _, isJWT := range []bool{false, true} {
		for subject, token := range map[string]string{
			"":    srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}, Claims: given, JWT: isJWT}).AccessToken,
			"u-1": srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}, Subject: "u-1", Claims: given, JWT: isJWT}).AccessToken,
		} {
			for name, v := range verifiers(t, srv, isJWT) {
				for range 2 { // the second time from memory, where there is one
					got, err := v.Verify(t.Context(), token)
					require.NoError(t, err, name)
					require.Equal(t, want, got.Claims, "%s, subject %q", name, subject)
				}
			}
		}
	}
	t.Run("a user keeps claims, and a machine's next token has its own", func(t *testing.T) {
		of := func(token string) map[string]any {
			got, err := srv.Verifier().Verify(t.Context(), token)
			require.NoError(t, err)
			return got.Claims
		}
		require.Equal(t, want, of(srv.UserToken("u-1", "orders:read")))
		srv.SetClaims("u-1", map[string]any{"role": "editor"})
		require.Equal(t, map[string]any{"role": "editor"}, of(srv.UserToken("u-1", "orders:read")))
		srv.SetClaims("u-1", nil)
		require.Nil(t, of(srv.UserToken("u-1", "orders:read")))
		require.Nil(t, of(srv.Token("orders:read")))
	})
}
