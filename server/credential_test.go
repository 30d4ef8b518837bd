package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
)

// events reads a trail.
func events(t *testing.T, text string) (list []audit.Event) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e audit.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		list = append(list, e)
	}
	return list
}

func TestTrailNamesTheCredential(t *testing.T) {
	id := func(secret string) string { return "secret:" + clients.Secret{Hash: clients.HashSecret(secret)}.ID() }
	var read func() string
	f := start(t, withClient(t, office()), func(c *Config) { read = trail(t, c) })
	f.post(t, tokP, app, ask)
	f.post(t, tokP, "app:app-second", ask)
	f.post(t, tokP, app, ask+"&scope=nothing")
	f.post(t, tokP, "expiring:old", ask)
	f.post(t, tokP, "disabled:s", ask)
	f.post(t, tokP, "office:s", ask)
	f.post(t, tokP, "app:wrong", ask)
	f.post(t, tokP, "nobody:app-secret", ask)
	f.post(t, tokP, "", ask+"&client_id=public")
	text := read()
	type seen struct{ event, reason, credential string }
	var got []seen
	for _, e := range events(t, text) {
		got = append(got, seen{e.Event, e.Reason, e.Credential})
	}
	require.ElementsMatch(t, []seen{
		{audit.TokenIssued, "", id("app-secret")},
		{audit.TokenIssued, "", id("app-second")},
		{audit.TokenRefused, "invalid_scope", id("app-secret")},
		{audit.TokenRefused, "secret_expired", id("old")},
		{audit.TokenRefused, "client_disabled", id("s")},
		{audit.TokenRefused, "address_not_allowed", id("s")},
		{audit.TokenRefused, "wrong_secret", ""},
		{audit.TokenRefused, "unknown_client", ""},
		{audit.TokenRefused, "unauthorized_client", ""},
	}, got)
	require.NotContains(t, text, "app-secret")
}

func TestTrailNamesTheKey(t *testing.T) {
	var read func() string
	s := startSigning(t, func(c *Config) { read = trail(t, c) })
	require.Equal(t, 200, s.ask(t, s.assertion(t, nil), "").status)
	require.Equal(t, 400, s.ask(t, s.assertion(t, nil), "&scope=nothing").status)
	require.Equal(t, 401, s.ask(t, s.assertion(t, func(c map[string]any) { c["aud"] = "https://another.example.com" }), "").status)
	list := events(t, read())
	require.Len(t, list, 3)
	require.Equal(t, "key:1", list[0].Credential)
	require.Equal(t, "key:1", list[1].Credential)
	require.Empty(t, list[2].Credential, "an assertion for another server proves nothing here")
}
