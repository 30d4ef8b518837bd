package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMetadata(t *testing.T) {
	t.Run("RFC 8414 §2 members and preset are read, and shown as TOML that loads", func(t *testing.T) {
		c, _, err := Load(Options{Path: write(t, minimal+"[metadata]\npreset = \"mcp\"\n[metadata.extra]\nui_locales_supported = [\"de\"]\n\"com.example.limits\" = { burst = 2, on = true }\n")})
		require.NoError(t, err)
		require.Equal(t, "mcp", c.Metadata.Preset)
		require.Equal(t, map[string]any{"ui_locales_supported": []any{"de"}, "com.example.limits": map[string]any{"burst": int64(2), "on": true}}, c.Metadata.Extra)
		again, _, err := Load(Options{Path: write(t, c.Show())})
		require.NoError(t, err, c.Show())
		require.Equal(t, c.Metadata, again.Metadata)
		mine := c.Copy()
		mine.Metadata.Extra["a"] = "b"
		require.NotContains(t, c.Metadata.Extra, "a", "a copy is its own")
	})
	t.Run("the environment sets the preset", func(t *testing.T) {
		c, _, err := Load(Options{Path: write(t, minimal), Environ: []string{"GRANTOR_METADATA__PRESET=mcp"}})
		require.NoError(t, err)
		require.Equal(t, "mcp", c.Metadata.Preset)
	})
	for name, c := range map[string]struct{ text, says string }{
		"a member of Grantor's":      {"[metadata.extra]\nissuer = \"https://evil.example.com\"\n", "config.toml:3:1: metadata.extra.issuer: is written by Grantor itself and cannot be overridden"},
		"a member of the preset":     {"metadata.preset = \"mcp\"\n[metadata.extra]\nresponse_types_supported = [\"none\"]\n", `config.toml:4:1: metadata.extra.response_types_supported: is written by preset = "mcp": remove one of the two`},
		"RFC 8414 §3.2 no elements":  {"[metadata.extra]\nui_locales_supported = []\n", "config.toml:3:1: metadata.extra.ui_locales_supported: must not be an empty list"},
		"another type":               {"[metadata.extra]\nservice_documentation = true\n", "config.toml:3:1: metadata.extra.service_documentation: must be an absolute https URL"},
		"a time, which JSON has not": {"[metadata.extra]\nsince = 2026-11-30T00:00:00Z\n", "config.toml:3:1: metadata.extra.since: must be a text, a number"},
		"an unknown preset":          {"[metadata]\npreset = \"oidc\"\n", `config.toml:3:1: metadata.preset: must be "mcp" or empty`},
		"no table":                   {"metadata.extra = 1\n", "metadata.extra: must be a table, not a number"},
	} {
		t.Run("RFC 8414 §2 is refused, with its place: "+name, func(t *testing.T) {
			_, _, err := Load(Options{Path: write(t, minimal+c.text)})
			require.ErrorContains(t, err, c.says)
		})
	}
}
