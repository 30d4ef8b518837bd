package metadata_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/metadata"
)

func TestCheck(t *testing.T) {
	list := func(items ...any) []any { return items }
	for name, value := range map[string]any{
		"service_documentation":                          "https://docs.example.com/oauth",
		"registration_endpoint":                          "http://127.0.0.1:8090/oauth2/register",
		"op_policy_uri":                                  "https://example.com/policy?of=oauth",
		"ui_locales_supported":                           list("de", "en"),
		"response_types_supported":                       list("code"),
		"authorization_response_iss_parameter_supported": true,
		"protected_resources":                            list("https://orders.example.com"),
		"com.example.tier":                               int64(3),
		"com.example.limits":                             map[string]any{"burst": 2.5, "of": list("a", int64(1))},
	} {
		t.Run("RFC 8414 §2 may be added: "+name, func(t *testing.T) { require.NoError(t, metadata.Check("", name, value)) })
	}
	deep := any("x")
	for range 5 {
		deep = list(deep)
	}
	for name, c := range map[string]struct {
		preset, member string
		value          any
		says           string
	}{
		"a member of Grantor's":                                                    {"", "issuer", "https://evil.example.com", "is written by Grantor itself"},
		"a member of Grantor's that is not in use now":                             {"", "jwks_uri", "https://evil.example.com", "is written by Grantor itself"},
		"a member of Grantor's in capitals, which Go's encoding/json takes for it": {"", "Token_Endpoint", "https://evil.example.com", "is written by Grantor itself"},
		"RFC 8414 §2.1 signed metadata in capitals":                                {"", "Signed_Metadata", "e30.e30.x", "RFC 8414 §2.1"},
		"a member of the preset":                                                   {"mcp", "authorization_endpoint", "https://login.example.com/authorize", `is written by preset = "mcp"`},
		"RFC 8414 §2.1 signed metadata":                                            {"", "signed_metadata", "e30.e30.x", "RFC 8414 §2.1"},
		"RFC 8414 §3.2 an empty list":                                              {"", "ui_locales_supported", list(), "RFC 8414 §3.2"},
		"an endpoint that is no URL":                                               {"", "registration_endpoint", "/oauth2/register", "absolute https URL"},
		"an endpoint that is no text":                                              {"", "registration_endpoint", int64(1), "absolute https URL"},
		"an endpoint in clear":                                                     {"", "registration_endpoint", "http://auth.example.com/register", "absolute https URL"},
		"a page that is a script":                                                  {"", "service_documentation", "javascript:alert(1)", "absolute https URL"},
		"a list that is a text":                                                    {"", "response_modes_supported", "query", "list of texts"},
		"a list of numbers":                                                        {"", "acr_values_supported", list(int64(1)), "list of texts"},
		"a list with an empty text":                                                {"", "ui_locales_supported", list("de", ""), "list of texts"},
		"a boolean that is a text":                                                 {"", "client_id_metadata_document_supported", "true", "true or false"},
		"a time":                                                                   {"", "com.example.since", time.Now(), "JSON has no other values"},
		"a number that is none":                                                    {"", "com.example.n", math.NaN(), "JSON has no other values"},
		"a time in a list":                                                         {"", "com.example.list", list(time.Now()), "JSON has no other values"},
		"a deep value":                                                             {"", "com.example.deep", deep, "deeper than 4"},
		"a name with a blank":                                                      {"", "a b", "x", "must have a name"},
		"no name":                                                                  {"", "", "x", "must have a name"},
	} {
		t.Run("RFC 8414 §2 is refused: "+name, func(t *testing.T) {
			require.ErrorContains(t, metadata.Check(c.preset, c.member, c.value), c.says)
		})
	}
	require.NoError(t, metadata.CheckPreset(""))
	require.NoError(t, metadata.CheckPreset("mcp"))
	require.ErrorContains(t, metadata.CheckPreset("MCP"), `must be "mcp"`)
}
