package server

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/metadata"
)

const wellKnown = "/.well-known/oauth-authorization-server"

func TestExtraMetadata(t *testing.T) {
	extra := map[string]any{"service_documentation": "https://docs.example.com", "ui_locales_supported": []string{"de", "en"},
		"com.example.tier": map[string]any{"a": 1}, "com.example.on": true}
	f := start(t, func(c *Config) { c.Extra = extra })
	plain := start(t)
	t.Run("RFC 8414 §2 members of the operator stand beside ours, as they were given", func(t *testing.T) {
		for _, path := range []string{wellKnown, "/.well-known/openid-configuration"} {
			r := f.call(t, http.MethodGet, path, "")
			require.Equal(t, 200, r.status)
			require.Equal(t, "https://docs.example.com", r.json["service_documentation"])
			require.Equal(t, []any{"de", "en"}, r.json["ui_locales_supported"])
			require.Equal(t, map[string]any{"a": 1.0}, r.json["com.example.tier"])
			require.Equal(t, true, r.json["com.example.on"])
			for name := range plain.call(t, http.MethodGet, path, "").json {
				require.Contains(t, r.json, name)
			}
		}
	})
	t.Run("RFC 8414 §2 a member of ours is refused, whether the document has it now or not", func(t *testing.T) {
		for _, name := range members(t) {
			_, err := New(t.Context(), Config{Issuer: "https://auth.example.com", Clients: f.registry, Store: f.store, Preset: "mcp", Extra: map[string]any{name: "https://evil.example.com"}})
			require.ErrorContains(t, err, "server: Extra: "+name+" is written by ", "package metadata does not know that this member is ours")
		}
	})
	t.Run("RFC 8414 §3.2 an empty list, and what is no preset, are refused", func(t *testing.T) {
		_, err := New(t.Context(), Config{Issuer: "https://auth.example.com", Clients: f.registry, Store: f.store, Extra: map[string]any{"ui_locales_supported": []string{}}})
		require.ErrorContains(t, err, "server: Extra: ui_locales_supported must not be an empty list")
		_, err = New(t.Context(), Config{Issuer: "https://auth.example.com", Clients: f.registry, Store: f.store, Preset: "x"})
		require.ErrorContains(t, err, "server: Preset must be")
		_, err = New(t.Context(), Config{Issuer: "https://auth.example.com", Clients: f.registry, Store: f.store, Extra: map[string]any{"x": make(chan int)}})
		require.ErrorContains(t, err, "server: Extra")
	})
}

// members are the names of the members that the code can write.
func members(t *testing.T) (names []string) {
	t.Helper()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[document]()) {
		if !f.Anonymous { // the fields of endpoints are visible themselves
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	require.Subset(t, names, []string{"jwks_uri", "token_endpoint", "mtls_endpoint_aliases"})
	return names
}

func TestPresetMCP(t *testing.T) {
	f := start(t, func(c *Config) { c.Issuer += "/tenant"; c.Preset = metadata.PresetMCP })
	const path = "/tenant" + PathAuthorize
	t.Run("RFC 8414 §2 the members that MCP clients demand, beside ours", func(t *testing.T) {
		r := f.call(t, http.MethodGet, wellKnown+"/tenant", "")
		require.Equal(t, f.URL+path, r.text("authorization_endpoint"))
		require.Equal(t, []any{"code"}, r.json["response_types_supported"])
		require.Equal(t, []any{"S256"}, r.json["code_challenge_methods_supported"])
		require.Equal(t, []any{"client_credentials"}, r.json["grant_types_supported"], "no client takes this for a promise of authorization_code")
	})
	t.Run("MD-11 without the preset there is neither member nor endpoint", func(t *testing.T) {
		plain := start(t)
		r := plain.call(t, http.MethodGet, wellKnown, "")
		for _, name := range []string{"authorization_endpoint", "response_types_supported", "code_challenge_methods_supported"} {
			require.NotContains(t, r.json, name)
		}
		require.Equal(t, 404, plain.call(t, http.MethodGet, PathAuthorize+"?response_type=code", "").status)
	})
	const evil = "https%3A%2F%2Fevil.example.com%2Fcb"
	for name, c := range map[string]struct{ query, code string }{
		"§4.1.2.1 a code is not to be had":                  {"response_type=code&client_id=app&redirect_uri=" + evil + "&state=s3cret-state", "unsupported_response_type"},
		"§4.2.2.1 a token neither":                          {"response_type=token&client_id=nobody&redirect_uri=" + evil, "unsupported_response_type"},
		"§3.1.1 without response_type":                      {"client_id=app&redirect_uri=" + evil, "invalid_request"},
		"§3.1 response_type without a value counts as none": {"response_type=&client_id=app", "invalid_request"},
		"§3.1 a parameter occurs twice":                     {"response_type=code&state=a&state=b", "invalid_request"},
		"RFC 8707 §2 resource may occur twice":              {"response_type=code&resource=a&resource=b", "unsupported_response_type"},
		"nothing at all":                                    {"", "invalid_request"},
		"a query that is malformed":                         {"response_type=%zz", "invalid_request"},
		"a parameter that would be markup":                  {"response_type=%3Cscript%3Es3cret-state", "unsupported_response_type"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, accept := range []string{"application/json", "text/html,application/xhtml+xml,*/*;q=0.8"} {
				t.Run("RFC 6749 "+name+", by "+method+", Accept: "+accept, func(t *testing.T) {
					where, body, headers := path+"?"+c.query, "", []string{"Accept: " + accept}
					if method == http.MethodPost {
						where, body = path, c.query
						headers = append(headers, "Content-Type: "+formType)
					}
					r := f.call(t, method, where, body, headers...)
					require.Equal(t, 400, r.status)
					require.Contains(t, r.body, c.code)
					require.Empty(t, r.header.Get("Location"), "no open redirect")
					for _, part := range []string{"evil", "s3cret-state", "nobody", "<script"} {
						require.NotContains(t, r.body, part, "nothing is repeated")
					}
					require.Equal(t, "no-store", r.header.Get("Cache-Control"))
					isPage := strings.HasPrefix(r.header.Get("Content-Type"), "text/html")
					ours := method == http.MethodPost && strings.Contains(c.query, "%zz") || method == http.MethodPost && strings.Contains(c.query, "state=a&state=b")
					require.Equal(t, strings.Contains(accept, "html") && !ours, isPage)
					if isPage {
						require.Equal(t, "default-src 'none'; frame-ancestors 'none'", r.header.Get("Content-Security-Policy"), "RFC 6749 §10.13")
						require.Equal(t, "DENY", r.header.Get("X-Frame-Options"))
					} else {
						require.Equal(t, c.code, r.text("error"))
					}
				})
			}
		}
	}
	t.Run("RFC 6749 §3.1 GET, HEAD and POST only", func(t *testing.T) {
		r := f.call(t, http.MethodPut, path, "")
		require.Equal(t, 405, r.status)
		methods := strings.Split(r.header.Get("Allow"), ", ")
		slices.Sort(methods)
		require.Equal(t, []string{"GET", "HEAD", "POST"}, methods)
	})
	t.Run("S-30 the log names the refusal and none of its parameters", func(t *testing.T) {
		require.Contains(t, f.log.String(), `"reason":"unsupported_response_type"`)
		for _, part := range []string{"evil", "s3cret-state"} {
			require.NotContains(t, f.log.String(), part)
		}
	})
}
