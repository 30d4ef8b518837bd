package middleware

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// officeKey is what a server says of a key for one network.
const officeKey = `{"active":true,"client_id":"shop","sub":"shop","sub_type":"client","token_type":"Bearer","jti":"k","iss":"ISSUER",` +
	`"allowed_networks":["203.0.113.0/24","2001:db8::/32"]}`

func TestAllowedNetworks(t *testing.T) {
	v := VerifierFunc(func(ctx context.Context, _ string) (*Token, error) {
		return &Token{ID: "k", ClientID: "shop", AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, nil
	})
	t.Run("a Guard holds the networks against the request, whoever made the verifier", func(t *testing.T) {
		for peer, status := range map[string]int{"203.0.113.9:1": 204, "198.51.100.1:1": 401, "[::ffff:203.0.113.9]:1": 204, "": 401, "@": 401} {
			require.Equal(t, status, askFrom(t, Config{Verifier: v}, peer), peer)
		}
	})
	t.Run("RFC 7239 §6.3 whom a trusted proxy does not name is nobody, and not the proxy", func(t *testing.T) {
		cfg := Config{Verifier: v, TrustedProxies: []string{"203.0.113.9"}} // the proxy is in the key's networks
		require.Equal(t, 204, askFrom(t, cfg, "203.0.113.9:1"), "a job on the proxy's own machine")
		for _, line := range []string{"X-Forwarded-For: unix:", "X-Forwarded-For: unknown", "X-Real-Ip: 198.51.100.1", "Forwarded: for=198.51.100.1"} {
			require.Equal(t, 401, askFrom(t, cfg, "203.0.113.9:1", line), line)
		}
	})
	t.Run("ClientAddress finds the address in another way", func(t *testing.T) {
		at := func(text string) Config {
			a, _ := netip.ParseAddr(text)
			return Config{Verifier: v, ClientAddress: func(*http.Request) netip.Addr { return a }}
		}
		require.Equal(t, 204, askFrom(t, at("203.0.113.9"), "198.51.100.1:1"))
		require.Equal(t, 401, askFrom(t, at(""), "203.0.113.9:1"), "an address that nobody knows")
	})
	t.Run("a wrong configuration is an error", func(t *testing.T) {
		_, err := New(Config{Verifier: v, TrustedProxies: []string{"the proxy"}})
		require.ErrorContains(t, err, "TrustedProxies")
		_, err = New(Config{Verifier: v, TrustedProxies: []string{"10.0.0.5"}, ClientAddress: func(*http.Request) netip.Addr { return netip.Addr{} }})
		require.ErrorContains(t, err, "either ClientAddress or TrustedProxies")
	})
	t.Run("without a Guard, WithClientAddress says from where a token is sent", func(t *testing.T) {
		token := &Token{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
		got, err := FromAllowedNetwork(WithClientAddress(t.Context(), netip.MustParseAddr("::ffff:203.0.113.9")), token)
		require.NoError(t, err)
		require.Same(t, token, got)
		_, err = FromAllowedNetwork(t.Context(), token)
		require.ErrorIs(t, err, ErrNetworkNotAllowed)
		require.ErrorIs(t, err, ErrInvalidToken)
	})
}

func askFrom(t *testing.T, cfg Config, peer string, lines ...string) int {
	t.Helper()
	g, err := New(cfg)
	require.NoError(t, err)
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	r.RemoteAddr = peer
	r.Header.Set("Authorization", "Bearer gak_x")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "k", TokenFrom(r.Context()).ID)
		w.WriteHeader(204)
	})).ServeHTTP(w, r)
	return w.Code
}

// TestIntrospectionOfNetworks: the verifier says that it checks networks, and checks them.
func TestIntrospectionOfNetworks(t *testing.T) {
	said := officeKey
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("allowed_networks") != "true" {
			said = `{"active":false}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(said))
	}))
	defer server.Close()
	for name, cfg := range map[string]IntrospectionConfig{
		"asking each time": {},
		"with a cache":     {CacheTTL: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.URL, cfg.ClientID, cfg.ClientSecret = server.URL, "api", "secret"
			v, err := NewIntrospection(cfg)
			require.NoError(t, err)
			for range 2 {
				_, err = v.Verify(WithClientAddress(t.Context(), netip.MustParseAddr("2001:db8::7")), "gak_x")
				require.NoError(t, err)
				_, err = v.Verify(WithClientAddress(t.Context(), netip.MustParseAddr("198.51.100.1")), "gak_x")
				require.ErrorIs(t, err, ErrNetworkNotAllowed)
				_, err = v.Verify(t.Context(), "gak_x")
				require.ErrorIs(t, err, ErrNetworkNotAllowed)
			}
		})
	}
	v, err := NewIntrospection(IntrospectionConfig{URL: server.URL, ClientID: "api", ClientSecret: "secret"})
	require.NoError(t, err)
	for _, list := range []string{`["the office"]`, `"203.0.113.0/24"`, `[7]`} {
		t.Run("a list that cannot be read is no answer: "+list, func(t *testing.T) {
			said = `{"active":true,"allowed_networks":` + list + `}`
			_, err := v.Verify(WithClientAddress(t.Context(), netip.MustParseAddr("203.0.113.9")), "gak_x")
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrInvalidToken)
		})
	}
}

// TestFollowAPIKeys: what a verifier remembers of a key that lives for years. A name that ended is
// remembered for a day, so no answer may be older.
func TestFollowAPIKeys(t *testing.T) {
	for name, exp := range map[string]any{"a key without an end": nil, "a key of a year": time.Now().AddDate(100, 0, 0).Unix()} {
		in(t, name+" is asked about once an hour, and refused when its end is heard of", func(t *testing.T, s *fakeServer) {
			s.set(func() { s.lease = 16 * time.Second }) // hours of polls, and not too many
			f := s.follower(t)
			v := s.introspection(t, f)
			warm(t, f)
			s.issue("gak_1", time.Hour)
			s.say("gak_1", "exp", exp)
			require.Equal(t, 3, s.asks(func() {
				for begun := time.Now(); time.Since(begun) < 150*time.Minute; time.Sleep(10 * time.Second) {
					require.Equal(t, "good", verdict(t, v, "gak_1"))
				}
			}))
			s.end("jti-gak_1")
			time.Sleep(16 * time.Second) // the lease: the next poll may wait for a part of it
			require.Equal(t, "refused", verdict(t, v, "gak_1"))
		})
		in(t, name+" that nobody used since its end is not taken from memory after the end is forgotten", func(t *testing.T, s *fakeServer) {
			s.set(func() { s.lease = 16 * time.Second }) // days of polls, and not too many
			f := s.follower(t)
			v := s.introspection(t, f)
			warm(t, f)
			s.issue("gak_1", time.Hour)
			s.say("gak_1", "exp", exp)
			require.Equal(t, "good", verdict(t, v, "gak_1"))
			s.end("jti-gak_1")
			time.Sleep(2 * retention)
			for i := range 2 { // names that come take the place of forgotten ones
				s.tell(fmt.Sprint("other-", i))
				time.Sleep(retention / 4)
			}
			require.Equal(t, "refused", verdict(t, v, "gak_1"))
		})
	}
}
