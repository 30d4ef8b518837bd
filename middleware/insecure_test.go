package middleware

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// network is a server behind every URL, that can be out of reach.
type network struct {
	issuer, endpoints string // URLs
	away              atomic.Bool
	asked             []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.away.Load() {
		return nil, errors.New("no route")
	}
	n.asked = append(n.asked, r.URL.String())
	body := `{"active":true,"token_type":"Bearer","scope":"orders:read","client_id":"app"}`
	switch {
	case strings.HasPrefix(r.URL.Path, "/.well-known/"):
		body = `{"issuer":"` + n.issuer + `","jwks_uri":"` + n.endpoints + `/jwks","introspection_endpoint":"` + n.endpoints + `/introspect"}`
	case r.URL.Path == "/jwks":
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signing().ec.Public(), KeyID: "ec", Use: "sig"}}})
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestKeepKeys(t *testing.T) {
	for name, keep := range map[string]time.Duration{"an hour": 0, "20 minutes, as configured": 20 * time.Minute} {
		t.Run("V-24 keys that cannot be fetched again are used for "+name+", then 503", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{issuer: "https://as.example.com", endpoints: "https://as.example.com"}
				v, err := NewJWT(JWTConfig{Issuer: n.issuer, Audience: api, KeepKeys: keep, HTTPClient: &http.Client{Transport: n}})
				require.NoError(t, err)
				defer v.Close()
				guard, err := New(Config{Verifier: v, Audience: api})
				require.NoError(t, err)
				h := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				now := time.Now().Unix()
				token := sign(t, "ES256", "ec", "at+jwt", signing().ec, map[string]any{"iss": n.issuer, "sub": "u-1", "aud": api, "client_id": "app", "jti": "j",
					"iat": now, "exp": now + 7200})
				ask := func() int {
					w := httptest.NewRecorder()
					r := httptest.NewRequest("GET", "/", nil)
					r.Header.Set("Authorization", "Bearer "+token)
					h.ServeHTTP(w, r)
					synctest.Wait()
					return w.Code
				}
				require.Equal(t, 200, ask())
				n.away.Store(true)
				time.Sleep(cmp.Or(keep, time.Hour) - time.Second)
				require.Equal(t, 200, ask())
				time.Sleep(time.Second)
				require.Equal(t, 503, ask())
				n.away.Store(false)
				time.Sleep(time.Minute)
				require.Equal(t, 200, ask())
			})
		})
	}
}

func TestAllowInsecureHTTP(t *testing.T) {
	const cluster, public = "http://grantor.auth.svc:8080", "https://as.example.com"
	introspection := func(n *network, issuer, url string, allow bool) error {
		v, err := NewIntrospection(IntrospectionConfig{Issuer: issuer, URL: url, ClientID: "api", ClientSecret: "s", Transport: n, AllowInsecureHTTP: allow})
		if err == nil {
			_, err = v.Verify(t.Context(), "gat_x")
		}
		return err
	}
	jwt := func(n *network, issuer, jwksURI string, allow bool) error {
		v, err := NewJWT(JWTConfig{Issuer: issuer, JWKSURI: jwksURI, Audience: api, HTTPClient: &http.Client{Transport: n}, AllowInsecureHTTP: allow})
		if err != nil {
			return err
		}
		defer v.Close()
		now := time.Now().Unix()
		_, err = v.Verify(t.Context(), sign(t, "ES256", "ec", "at+jwt", signing().ec, map[string]any{"iss": issuer, "sub": "u-1", "aud": api, "client_id": "app", "jti": "j",
			"iat": now, "exp": now + 300}))
		return err
	}
	for name, ask := range map[string]func(n *network, allow bool) error{
		"introspection, found by the issuer's metadata": func(n *network, allow bool) error { return introspection(n, cluster, "", allow) },
		"introspection by URL":                          func(n *network, allow bool) error { return introspection(n, "", cluster+"/introspect", allow) },
		"JWT, found by the issuer's metadata":           func(n *network, allow bool) error { return jwt(n, cluster, "", allow) },
		"JWT of a public issuer, keys by URL":           func(n *network, allow bool) error { return jwt(n, public, cluster+"/jwks", allow) },
	} {
		t.Run("RFC 7662 §4 http off loopback only by name: "+name, func(t *testing.T) {
			n := &network{issuer: cluster, endpoints: cluster}
			require.ErrorContains(t, ask(n, false), "https://")
			require.Empty(t, n.asked)
			require.NoError(t, ask(n, true))
		})
	}
	for name, ask := range map[string]func(n *network) error{
		"introspection": func(n *network) error { return introspection(n, public, "", true) },
		"JWT":           func(n *network) error { return jwt(n, public, "", true) },
	} {
		t.Run("RFC 7662 §4 metadata had by https never lead to http, even so: "+name, func(t *testing.T) {
			n := &network{issuer: public, endpoints: cluster}
			require.ErrorContains(t, ask(n), "https://")
		})
	}
}
