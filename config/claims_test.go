package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShowClaims(t *testing.T) {
	const claims = `claims = { tenant_id = "t-7", plan = { seats = 3, names = ["a", "b"], free = false }, rate = 1.5, "https://example.com/x" = "é\"" }` + "\n"
	text := minimal + "[scopes]\na = { claims = [\"tenant_id\"] }\n[users.sql]\nclaims_columns = [\"role\"]\n" +
		"[hooks.claims]\nurl = \"http://127.0.0.1:1/c\"\nsecret = \"" + strings.Repeat("s", 32) + "\"\ntimeout = \"3s\"\n" +
		"[[clients]]\nclient_id = \"c\"\nscope = \"a\"\n" + claims + "secrets = [{ hash = \"" + goodHash + "\" }]\n" +
		"[[users.config]]\nid = \"u\"\nusername = \"ada\"\npassword_hash = \"" + demoUserHash + "\"\n" + claims
	c, _, err := Load(Options{Path: write(t, text)})
	require.NoError(t, err)
	require.Equal(t, `{"https://example.com/x":"é\"","plan":{"free":false,"names":["a","b"],"seats":3},"rate":1.5,"tenant_id":"t-7"}`, c.Registrations()[0].Claims.String())
	require.Equal(t, c.Registrations()[0].Claims, c.ConfigUsers()[0].Claims)
	require.False(t, c.Catalogue().Releases(c.Registrations()[0].DefaultScope, "tenant_id"))
	out := c.Show()
	require.NotContains(t, out, strings.Repeat("s", 32))
	masks := strings.NewReplacer(`password_hash = "[set]"`, `password_hash = "`+demoUserHash+`"`, `hash = "[set]"`, `hash = "`+goodHash+`"`, `secret = "[set]"`, `secret = "`+strings.Repeat("s", 32)+`"`)
	again, _, err := Load(Options{Path: write(t, masks.Replace(out))})
	require.NoError(t, err, "what is shown is TOML that loads: %s", out)
	require.Equal(t, c.Clients[0].Claims, again.Clients[0].Claims)
	require.Equal(t, c.Users.Config[0].Claims, again.Users.Config[0].Claims)
	require.Equal(t, c.Scopes, again.Scopes)
	require.Equal(t, c.Hooks, again.Hooks)
	require.Equal(t, c.Users.SQL, again.Users.SQL)
}
