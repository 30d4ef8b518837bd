package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestClientExchangeFlags: the policy of token exchange (RFC 8693) by the command line.
func TestClientExchangeFlags(t *testing.T) {
	name := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(name, []byte("redis.url = \""+redistest.Start(t).URL+"\"\n[scopes]\n\"orders:read\" = { resource = \"https://orders.example.com\" }\n"), 0o600))
	grantor := func(t *testing.T, want int, args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := run("", append(args, "--config", name)...)
		require.Equal(t, want, code, stderr)
		return stdout, stderr
	}
	policy := func(t *testing.T, id string) *clients.ExchangePolicy {
		t.Helper()
		out, _ := grantor(t, 0, "client", "show", id, "--json")
		var shown struct {
			Exchange *clients.ExchangePolicy `json:"exchange"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &shown), out)
		return shown.Exchange
	}
	create := []string{"client", "create", "--id", "shop", "--scope", "orders:read", "--grant-type", clients.GrantTokenExchange}
	t.Run("TX-08 the grant type without a policy is refused, and says what is missing", func(t *testing.T) {
		_, stderr := grantor(t, 2, create...)
		require.Contains(t, stderr, "needs a policy")
	})
	t.Run("TX-08 each flag is a key of the policy", func(t *testing.T) {
		grantor(t, 0, append(create, "--exchange-subject-client", "app", "--exchange-subject-client", "job", "--exchange-subject-type", "user",
			"--exchange-audience", "https://orders.example.com", "--exchange-scope", "orders:*", "--exchange-mode", "either", "--exchange-actor", "desk",
			"--exchange-max-depth", "3", "--exchange-bound-tokens")...)
		require.Equal(t, &clients.ExchangePolicy{SubjectClients: []string{"app", "job"}, SubjectTypes: []string{"user"}, Audience: []string{"https://orders.example.com"},
			Scope: "orders:*", Mode: clients.ExchangeEither, Actors: []string{"desk"}, MaxDepth: 3, BoundTokens: true}, policy(t, "shop"))
	})
	t.Run("TX-08 an update changes what was said alone", func(t *testing.T) {
		grantor(t, 0, "client", "update", "shop", "--exchange-max-depth", "2", "--exchange-audience", "", "--exchange-bound-tokens=false")
		require.Equal(t, &clients.ExchangePolicy{SubjectClients: []string{"app", "job"}, SubjectTypes: []string{"user"},
			Scope: "orders:*", Mode: clients.ExchangeEither, Actors: []string{"desk"}, MaxDepth: 2}, policy(t, "shop"))
		grantor(t, 0, "client", "update", "shop", "--name", "The shop")
		require.Equal(t, 2, policy(t, "shop").MaxDepth)
	})
	for says, args := range map[string][]string{
		"max_depth must be 1 to 4":             {"--exchange-max-depth", "5"},
		"mode must be":                         {"--exchange-mode", "both"},
		"subject_types must be of":             {"--exchange-subject-type", "robot"},
		"says nobody's tokens":                 {"--exchange-subject-client", ""},
		"so the other names say nothing":       {"--exchange-subject-client", "*,app"},
		`with mode = "impersonation" no token`: {"--exchange-mode", "impersonation"},
		"is not in [scopes]":                   {"--exchange-scope", "orders:nothing"},
		"audience: ":                           {"--exchange-audience", "orders"},
		"token exchange needs a policy":        {"--no-exchange"},
	} {
		t.Run("TX-08 refused, and nothing changes: "+says, func(t *testing.T) {
			before := policy(t, "shop")
			_, stderr := grantor(t, 2, append([]string{"client", "update", "shop"}, args...)...)
			require.Contains(t, stderr, says)
			require.Equal(t, before, policy(t, "shop"))
		})
	}
	t.Run("TX-08 --no-exchange takes the policy away, with the grant type", func(t *testing.T) {
		grantor(t, 0, "client", "update", "shop", "--no-exchange", "--grant-type", clients.GrantClientCredentials)
		require.Nil(t, policy(t, "shop"))
	})
}
