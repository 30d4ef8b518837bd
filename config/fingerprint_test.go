package config_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
)

const fingerprinted = `issuer = "https://auth.example.com"
listen = ":8443"
[tls]
mode = "files"
cert_file = "a.crt"
key_file = "a.key"
[redis]
url = "redis://127.0.0.1:6379"
[scopes]
"orders:read" = { description = "Read" }
[[clients]]
client_id = "a"
grant_types = ["client_credentials"]
scope = "orders:read"
secrets = [{ hash = "sha256:f33ca5f11c3ccbb4cb3f3a2a5b4fdfb0c6d7ed5ab1d22c9f5be6e1b1d7e7a111" }]
[[clients]]
client_id = "b"
scope = "orders:read"
secrets = [{ hash = "sha256:f33ca5f11c3ccbb4cb3f3a2a5b4fdfb0c6d7ed5ab1d22c9f5be6e1b1d7e7a222" }]
`

func TestFingerprint(t *testing.T) {
	of := func(t *testing.T, edit func(*config.Config)) string {
		cfg, _, err := config.Parse(fingerprinted)
		require.NoError(t, err)
		if edit != nil {
			edit(cfg)
		}
		return cfg.Fingerprint()
	}
	same := of(t, nil)
	require.Regexp(t, `^[0-9a-f]{12}$`, same)
	for name, edit := range map[string]func(*config.Config){
		"the listener":           func(c *config.Config) { c.Listen = ":9443" },
		"the certificate's file": func(c *config.Config) { c.TLS.CertFile = "b.crt" },
		"the log":                func(c *config.Config) { c.Log.Level = "debug" },
		"the metrics' listener":  func(c *config.Config) { c.Metrics.Listen = "127.0.0.1:9090" },
		"the order of clients":   func(c *config.Config) { c.Clients[0], c.Clients[1] = c.Clients[1], c.Clients[0] },
		"a secret":               func(c *config.Config) { c.Redis.URL = "redis://:hunter2@127.0.0.1:6379" },
	} {
		t.Run(name+" is no part of it", func(t *testing.T) { require.Equal(t, same, of(t, edit)) })
	}
	for name, edit := range map[string]func(*config.Config){
		"the issuer":             func(c *config.Config) { c.Issuer = "https://other.example.com" },
		"a lifetime":             func(c *config.Config) { c.Tokens.AccessTTL++ },
		"a scope of a client":    func(c *config.Config) { c.Clients[0].Scope = "orders:write" },
		"the hash of a secret":   func(c *config.Config) { c.Clients[0].Secrets[0].Hash = clients.HashSecret("another") },
		"an entry of [scopes]":   func(c *config.Config) { c.Scopes["orders:write"] = config.ScopeEntry{} },
		"the password grant":     func(c *config.Config) { c.Grants.Password = true },
		"the prefix in Redis":    func(c *config.Config) { c.Redis.Prefix = "other:" },
		"an extra of [metadata]": func(c *config.Config) { c.Metadata.Extra = map[string]any{"service_documentation": "x"} },
	} {
		t.Run(name+" is part of it", func(t *testing.T) { require.NotEqual(t, same, of(t, edit)) })
	}
	t.Run("a secret is in no JSON", func(t *testing.T) {
		text, err := json.Marshal(config.Redis{Password: "hunter2"})
		require.NoError(t, err)
		require.NotContains(t, string(text), "hunter2")
	})
}
