package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// proving is a transport that adds a DPoP proof to each request (RFC 9449 §4), and repeats a
// request once with the nonce that the server asks for (§8, §9).
type proving struct {
	key     *dpoptest.Key
	mu      sync.Mutex
	nonces  map[string]string // by host
	repeats int
}

func newProving(t *testing.T) *proving {
	t.Helper()
	return &proving{key: dpoptest.New(t), nonces: map[string]string{}}
}

// RoundTrip implements http.RoundTripper.
func (p *proving) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := p.send(r)
	if err != nil || res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusUnauthorized || !p.learns(res) {
		return res, err
	}
	_ = res.Body.Close()
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return p.send(again)
}

func (p *proving) send(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	var changes []dpoptest.Change
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme == "DPoP" {
		changes = append(changes, dpoptest.With(token))
	}
	p.mu.Lock()
	if nonce := p.nonces[r.URL.Host]; nonce != "" {
		changes = append(changes, dpoptest.Change{"nonce": nonce})
	}
	p.mu.Unlock()
	r.Header.Set("DPoP", p.key.Proof(r.Method, r.URL.String(), changes...))
	return http.DefaultTransport.RoundTrip(r)
}

// learns says whether an answer asks for another nonce than the last one.
func (p *proving) learns(res *http.Response) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	nonce, host := res.Header.Get("DPoP-Nonce"), res.Request.URL.Host
	if nonce == "" || p.nonces[host] == nonce {
		return false
	}
	p.nonces[host] = nonce
	p.repeats++
	return true
}

// over is a context by which package oauth2 sends requests with a transport.
func over(t *testing.T, transport http.RoundTripper) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: transport})
}

// called is the status of the API for a client of package oauth2.
func called(t *testing.T, client *http.Client, api string) int {
	t.Helper()
	res, err := client.Get(api + "/orders?page=1")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// TestOAuth2DPoP: golang.org/x/oauth2 with a transport that adds proofs. Two nodes and the API
// demand nonces.
func TestOAuth2DPoP(t *testing.T) {
	s := startDPoPSite(t, "dpop.nonce = \"required\"\n")
	endpoint := oauth2.Endpoint{TokenURL: s.issuer + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams}
	t.Run("DP-01 DP-04 DP-07 client credentials: the nonce of one node is taken by both, and the API takes the token", func(t *testing.T) {
		p := newProving(t)
		ctx := over(t, p)
		cc := clientcredentials.Config{ClientID: "machine", ClientSecret: s.machine, TokenURL: endpoint.TokenURL, Scopes: []string{"orders:read"}, AuthStyle: oauth2.AuthStyleInHeader}
		for range 4 {
			token, err := cc.Token(ctx)
			require.NoError(t, err)
			require.Equal(t, "DPoP", token.TokenType)
		}
		require.Equal(t, 1, p.repeats, "one nonce for both nodes")
		client := cc.Client(ctx)
		require.Equal(t, 200, called(t, client, s.api))
		require.Equal(t, 200, called(t, client, s.api))
		require.Equal(t, 2, p.repeats, "and one of the API")
	})
	t.Run("DP-08 RT-01 S-74 a login and its refreshes; a thief of both tokens gets nothing and ends nothing", func(t *testing.T) {
		p, thief := newProving(t), newProving(t)
		app := oauth2.Config{ClientID: "app", Endpoint: endpoint, Scopes: []string{"orders:read"}}
		token, err := app.PasswordCredentialsToken(over(t, p), "ada", adaPassword)
		require.NoError(t, err)
		require.Equal(t, "DPoP", token.TokenType)
		for range 3 { // at each node
			stolen := *token
			require.Equal(t, 401, called(t, oauth2.NewClient(over(t, thief), oauth2.StaticTokenSource(&stolen)), s.api))
			stolen.Expiry = time.Now().Add(-time.Minute)
			_, err = app.TokenSource(over(t, thief), &stolen).Token()
			var refused *oauth2.RetrieveError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "invalid_grant", refused.ErrorCode)
			require.Equal(t, 400, refused.Response.StatusCode)
			expired := *token
			expired.Expiry = time.Now().Add(-time.Minute)
			next, err := app.TokenSource(over(t, p), &expired).Token()
			require.NoError(t, err)
			require.NotEqual(t, token.RefreshToken, next.RefreshToken)
			token = next
			require.Equal(t, 200, called(t, app.Client(over(t, p), token), s.api))
		}
	})
}

// TestOneProof: a proof counts once on all nodes together.
func TestOneProof(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) string{
		"one Redis":       func(t *testing.T) string { return redisStore(redistest.Start(t)) },
		"a Redis Cluster": clusterStore,
	} {
		t.Run(name, func(t *testing.T) { testOneProof(t, startDPoPSiteOn(t, start(t), "")) })
	}
}

func testOneProof(t *testing.T, s dpopSite) {
	t.Helper()
	k := dpoptest.New(t)
	// ask sends one proof n times at once, by turns to both nodes. It counts the answers.
	ask := func(t *testing.T, n int, id, secret string, form url.Values) (counts map[string]int, refreshToken string) {
		t.Helper()
		proof := "DPoP: " + k.Proof(http.MethodPost, s.issuer+"/oauth2/token")
		counts = map[string]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				node := s.nodes[i%len(s.nodes)] + "/oauth2/token"
				r, err := tryPost(t.Context(), node, id, secret, form, proof)
				for end := time.Now().Add(30 * time.Second); r.status == 503 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					r, err = tryPost(t.Context(), node, id, secret, form, proof) // a node that waited for the machine is not current
				}
				mu.Lock()
				defer mu.Unlock()
				if text, ok := r.json["refresh_token"].(string); ok {
					refreshToken = text
				}
				counts[fmt.Sprintf("%d %v %v", r.status, r.json["error"], err)]++
			})
		}
		all.Wait()
		return counts, refreshToken
	}
	const success, refused = "200 <nil> <nil>", "400 invalid_dpop_proof <nil>"
	t.Run("DP-09 S-75 RFC 9449 §11.1 thirty-two uses of one proof at once over two nodes: one success", func(t *testing.T) {
		counts, _ := ask(t, 32, "machine", s.machine, credentials("orders:read"))
		require.Equal(t, map[string]int{success: 1, refused: 31}, counts)
	})
	t.Run("DP-09 RT-12 S-75 a refresh too: one rotation, and the session goes on", func(t *testing.T) {
		counts, token := ask(t, 1, "", "", url.Values{"client_id": {"app"}, "grant_type": {"password"}, "username": {"ada"}, "password": {adaPassword}})
		require.Equal(t, map[string]int{success: 1}, counts)
		refreshing := func(token string) url.Values {
			return url.Values{"client_id": {"app"}, "grant_type": {"refresh_token"}, "refresh_token": {token}}
		}
		counts, token = ask(t, 32, "", "", refreshing(token))
		require.Equal(t, map[string]int{success: 1, refused: 31}, counts)
		counts, _ = ask(t, 1, "", "", refreshing(token))
		require.Equal(t, map[string]int{success: 1}, counts)
	})
}
