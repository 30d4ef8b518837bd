package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/tokens"
)

// direct is a round trip without a network: it calls the server that stands at that moment.
type direct struct{ h func() http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.h().ServeHTTP(w, r)
	return w.Result(), nil
}

func TestKeyRotation(t *testing.T) {
	t.Run("S-63 JK-04 a day of hourly rotations under load, verifiers with caches of five minutes: 0 failed verifications", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ring, err := keys.Open(ctx, keys.Config{Store: keys.NewMemory(), Algorithms: []keys.Algorithm{keys.ES256}, RotateEvery: time.Hour, MaxTokenTTL: 15 * time.Minute})
			require.NoError(t, err)
			go ring.Run(ctx)
			store := tokens.NewMemory(0)
			defer store.Close() //nolint:errcheck // it returns nil
			registry, err := clients.NewConfigured(ctx, testClients(), store)
			require.NoError(t, err)
			log := slog.New(slog.DiscardHandler)
			go registry.Run(ctx, log)
			s, err := New(ctx, Config{Issuer: "https://auth.example.com", Clients: registry, Catalogue: testCatalogue(), Store: store, Log: log,
				Keys: ring, Format: clients.FormatJWT, SigningAlg: keys.ES256, Algorithms: []string{"ES256"}})
			require.NoError(t, err)
			web := &http.Client{Transport: direct{func() http.Handler { return s }}}
			var verifiers []*middleware.JWT
			for range 3 {
				v, err := middleware.NewJWT(middleware.JWTConfig{Issuer: "https://auth.example.com", Audience: ordersResource, HTTPClient: web})
				require.NoError(t, err)
				defer v.Close()
				verifiers = append(verifiers, v)
			}
			verified, kids, old := 0, map[string]bool{}, ""
			for range 24 * 60 {
				req := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=client_credentials"))
				req.Header.Set("Content-Type", formType)
				req.SetBasicAuth("app", "app-secret")
				w := httptest.NewRecorder()
				s.ServeHTTP(w, req)
				require.Equal(t, 200, w.Code, w.Body.String())
				var answer struct {
					Token string `json:"access_token"`
				}
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
				head, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.Token, ".")[0])
				require.NoError(t, err)
				kids[string(head)] = true
				for _, token := range []string{answer.Token, old} {
					for _, v := range verifiers {
						if token == "" {
							continue
						}
						_, err := v.Verify(ctx, token)
						require.NoError(t, err)
						verified++
					}
				}
				old = answer.Token
				time.Sleep(time.Minute)
			}
			require.Greater(t, len(kids), 20, "the keys did rotate")
			t.Logf("%d verifications, %d keys, 0 failed", verified, len(kids))
			cancel()
			synctest.Wait()
		})
	})
}
