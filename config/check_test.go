package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
)

func TestParse(t *testing.T) {
	cfg, _, err := config.Parse("store = \"memory\"\nscopes.\"orders:read\" = {}\n")
	require.NoError(t, err)
	require.True(t, cfg.Catalogue().Has("orders:read"))
	require.Equal(t, 15*time.Minute, cfg.Tokens.AccessTTL, "absent keys have their defaults")
	_, _, err = config.Parse("store = \"memory\"\nlisen = \"x\"\ntokens.access_ttl = \"0s\"\n")
	require.ErrorContains(t, err, "configuration:2:1: lisen: there is no such key")
	require.ErrorContains(t, err, "configuration:3:1: tokens.access_ttl: ")
	_, _, err = config.Parse("store = ")
	require.ErrorContains(t, err, "configuration:1")
}

func TestCheck(t *testing.T) {
	t.Run("a configuration made in code is held against the same rules", func(t *testing.T) {
		cfg := config.Default()
		cfg.Store = config.StoreMemory
		cfg.Scopes = map[string]config.ScopeEntry{"orders:read": {}}
		cfg.Clients = []clients.Registration{{ID: "job", Grants: []string{"client_credentials"}, Scope: "orders:red"}}
		_, err := cfg.Check()
		require.ErrorContains(t, err, "clients[0].scope: ")
		_, again := cfg.Check()
		require.Equal(t, err, again)
	})
	t.Run("and is whole then", func(t *testing.T) {
		cfg := config.Default()
		cfg.Store = config.StoreMemory
		cfg.Clients = []clients.Registration{{ID: "api", Introspect: "any"}}
		_, err := cfg.Check()
		require.ErrorContains(t, err, "clients[0].secrets: ")
		cfg = config.Default()
		cfg.Store = config.StoreMemory
		cfg.Clients = []clients.Registration{{ID: "job", Method: "none", Grants: []string{"password"}}}
		_, err = cfg.Check()
		require.NoError(t, err)
		require.Len(t, cfg.Registrations(), 1)
	})
	t.Run("what Load read is checked already", func(t *testing.T) {
		cfg, warnings, err := config.Load(config.Options{Path: "../config.toml", Trial: true})
		require.NoError(t, err)
		again, err := cfg.Check()
		require.NoError(t, err)
		require.Equal(t, warnings, again)
		require.Len(t, cfg.Registrations(), len(cfg.Clients))
	})
}

// TestAdvice: config check says what could be safer.
func TestAdvice(t *testing.T) {
	check := func(more string) []string {
		cfg, _, err := config.Parse("store = \"memory\"\ngrants.password = true\nscopes.\"orders:read\" = {}\n" +
			"[[clients]]\nclient_id = \"app\"\ntoken_endpoint_auth_method = \"none\"\ngrant_types = [\"password\", \"refresh_token\"]\nscope = \"orders:read\"\n" + more)
		require.NoError(t, err)
		return cfg.Advice()
	}
	t.Run("DP-10 RFC 9700 §2.2 a public client with long refresh tokens and no binding: one line", func(t *testing.T) {
		require.Len(t, check(""), 1)
		require.Contains(t, check("")[0], `the public client "app" has refresh tokens`)
		require.Contains(t, check("[[clients]]\nclient_id = \"tv\"\ntoken_endpoint_auth_method = \"none\"\ngrant_types = [\"password\", \"refresh_token\"]\nscope = \"orders:read\"\n")[0],
			`the public clients "app", "tv" have`)
	})
	t.Run("DP-10 none where refresh tokens are bound, or short", func(t *testing.T) {
		require.Empty(t, check("dpop_bound_access_tokens = true\n"))
		require.Empty(t, check("tls_client_certificate_bound_access_tokens = true\n[tls]\nmode = \"files\"\ncert_file = \"c\"\nkey_file = \"k\"\nrequest_client_certs = true\n"), "MT-06 RFC 8705 §4")
		require.Empty(t, check("refresh_ttl = \"12h\"\n"))
	})
	t.Run("DP-07 [dpop] is held against its bounds", func(t *testing.T) {
		_, _, err := config.Parse("store = \"memory\"\ndpop.nonce = \"on\"\ndpop.nonce_lifetime = \"1s\"\n")
		require.ErrorContains(t, err, `dpop.nonce: must be "off" or "required"`)
		require.ErrorContains(t, err, `dpop.nonce_lifetime: must be "10s" to "1h"`)
		cfg, _, err := config.Parse("store = \"memory\"\ndpop.nonce = \"required\"\n")
		require.NoError(t, err)
		require.Equal(t, 5*time.Minute, cfg.DPoP.Nonces())
		require.Zero(t, config.Default().DPoP.Nonces())
	})
}
