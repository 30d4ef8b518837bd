package integration_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// foreignUses are two nodes on one store, and a client that exchanges JWTs of an issuer by both
// grants.
type foreignUses struct {
	deployment
	secret, issuer string
	sign           func(map[string]any) string
	nodes          []*process
}

func newForeignUses(t *testing.T, store string) *foreignUses {
	t.Helper()
	u := &foreignUses{secret: tokens.NewSecret()}
	u.issuer, u.sign = trusted(t)
	addr := freeAddr(t)
	u.deployment = withUsers(t, "issuer = \"http://"+addr+"\"\n"+store+"limits.client_failures = -1\n", "[[trusted_issuers]]\nissuer = \""+u.issuer+"\"\n[[clients]]\n"+
		"client_id = \"partner\"\ngrant_types = [\""+exchangeGrant+"\", \""+clients.GrantJWTBearer+"\"]\nscope = \"orders:read\"\n"+
		"exchange = { subject_issuers = [\""+u.issuer+"\"], scope = \"orders:read\" }\nsecrets = [{ hash = \""+clients.HashSecret(u.secret).String()+"\" }]\n")
	u.nodes = []*process{run(t, built(t, module), nil, "serve", "--config", u.config, "--listen", addr), u.serve(t)}
	return u
}

// jwt is a good JWT of the issuer, with a jti.
func (u *foreignUses) jwt(jti string) string {
	return u.sign(map[string]any{"iss": u.issuer, "sub": "u-1", "aud": u.nodes[0].URL, "exp": time.Now().Add(time.Minute).Unix(), "jti": jti})
}

// use gives a node a JWT: as an assertion, or as a subject token.
func (u *foreignUses) use(t *testing.T, p *process, grant, token string) (reply, error) {
	t.Helper()
	form := url.Values{"grant_type": {grant}, "assertion": {token}}
	if grant == exchangeGrant {
		form = url.Values{"grant_type": {grant}, "subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}}
	}
	return tryPost(t.Context(), p.URL+"/oauth2/token", "partner", u.secret, form)
}

// TestForeignJTIOnce: a JWT of another issuer works once, on all nodes together.
func TestForeignJTIOnce(t *testing.T) {
	for name, store := range map[string]func(t *testing.T) string{
		"one Redis": func(t *testing.T) string { return redisStore(redistest.Start(t)) },
		"a Cluster": clusterStore,
	} {
		t.Run(name, func(t *testing.T) { testForeignJTIOnce(t, newForeignUses(t, store(t))) })
	}
}

func testForeignJTIOnce(t *testing.T, u *foreignUses) {
	for _, p := range u.nodes { // each has fetched the keys then
		within(t, func() bool {
			r, err := u.use(t, p, clients.GrantJWTBearer, u.jwt(p.URL))
			return err == nil && r.status == 200
		})
	}
	for name, grants := range map[string][]string{
		"as subject token": {exchangeGrant}, "as assertion": {clients.GrantJWTBearer}, "as both": {exchangeGrant, clients.GrantJWTBearer},
	} {
		t.Run("JB-06 TX-03 RFC 7523 §3 item 7 32 uses at once "+name+": one success", func(t *testing.T) {
			token, statuses := u.jwt(name), map[int]int{}
			var mu sync.Mutex
			var uses sync.WaitGroup
			for i := range 32 {
				uses.Go(func() {
					r, err := u.use(t, u.nodes[i%2], grants[i/2%len(grants)], token)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						statuses[r.status]++
					}
				})
			}
			uses.Wait()
			require.Equal(t, map[int]int{200: 1, 400: 31}, statuses)
		})
	}
}

// TestJWTBearer: a JWT of another issuer is an authorization grant through the whole binary.
func TestJWTBearer(t *testing.T) {
	u := newForeignUses(t, memoryStore)
	var r reply
	within(t, func() (ok bool) {
		var err error
		r, err = u.use(t, u.nodes[0], clients.GrantJWTBearer, u.jwt("1"))
		return err == nil && r.status == 200
	})
	t.Run("JB-01 RFC 7523 §2.1 the new token is for the subject of the other issuer, and no longer than its JWT", func(t *testing.T) {
		says := u.introspect(t, u.nodes[0], r.text("access_token")).json
		require.Equal(t, []any{u.issuer + "|u-1", "external", "partner", "orders:read"}, []any{says["sub"], says["sub_type"], says["client_id"], says["scope"]})
		require.LessOrEqual(t, r.json["expires_in"], float64(60))
	})
	t.Run("JB-07 RFC 7523 §3.1 invalid_grant", func(t *testing.T) {
		r, err := u.use(t, u.nodes[0], clients.GrantJWTBearer, u.jwt("1"))
		require.NoError(t, err)
		require.Equal(t, []any{400, "invalid_grant"}, []any{r.status, r.json["error"]})
		require.Contains(t, r.text("error_description"), "was used before")
	})
	t.Run("JB-01 golang.org/x/oauth2", func(t *testing.T) {
		c := &clientcredentials.Config{ClientID: "partner", ClientSecret: u.secret, TokenURL: u.nodes[0].URL + "/oauth2/token",
			EndpointParams: url.Values{"grant_type": {clients.GrantJWTBearer}, "assertion": {u.jwt("2")}}}
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"Bearer", ""}, []string{token.TokenType, token.RefreshToken})
		_, err = c.Token(t.Context())
		var refused *oauth2.RetrieveError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "invalid_grant", refused.ErrorCode)
	})
	t.Run("JB-11 RFC 8414 §2 the metadata lists the grant, and not where no issuer is trusted", func(t *testing.T) {
		require.Contains(t, u.nodes[0].metadata(t, "oauth-authorization-server")["grant_types_supported"], clients.GrantJWTBearer)
		plain := deploy(t, redisStore(redistest.Start(t))).serve(t)
		require.NotContains(t, plain.metadata(t, "oauth-authorization-server")["grant_types_supported"], clients.GrantJWTBearer)
	})
}
