package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsole(t *testing.T) {
	sound := "store = \"redis\"\nredis.url = \"redis://127.0.0.1\"\nadmin.listen = \"127.0.0.1:8090\"\n[admin.console]\nenabled = true\n"
	c, _, err := Parse(sound)
	require.NoError(t, err)
	require.True(t, c.Admin.Console.Enabled)
	for more, want := range map[string]string{
		"user_header = \"X-User\"":                                 "needs proxies",
		"user_header = \"X User\"\nproxies = [\"10.0.0.1\"]":       "must be the name of a header",
		"user_header = \"Cookie\"\nproxies = [\"10.0.0.1\"]":       "must be the name of a header",
		"user_header = \"X-User\"\nproxies = [\"0.0.0.0/0\"]":      "is every address",
		"user_header = \"X-User\"\nproxies = [\"::/0\"]":           "is every address",
		"user_header = \"X-User\"\nproxies = [\"proxy.internal\"]": "neither an address nor a network",
		"idle_timeout = \"13h\"":                                   "must be from 1m to max_session",
		"idle_timeout = \"1s\"":                                    "must be from 1m to max_session",
		"max_session = \"25h\"":                                    "must be from 1m to 24h",
	} {
		_, _, err := Parse(sound + more)
		require.ErrorContains(t, err, want, more)
	}
	_, _, err = Parse(strings.Replace(sound, "admin.listen = \"127.0.0.1:8090\"\n", "", 1))
	require.ErrorContains(t, err, "needs [admin] listen")
	_, _, err = Parse("tls.mode = \"proxy\"\nissuer = \"https://auth.example.com\"\n" + strings.Replace(sound, "127.0.0.1:8090", "0.0.0.0:8090", 1))
	require.ErrorContains(t, err, "off loopback needs [admin] url")
}
