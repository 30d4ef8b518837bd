package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

// apiEnv makes this program an API with live verifiers, in a process of its own that can be
// stopped; its value is an apiSettings.
const apiEnv = "GRANTOR_TEST_LIVE_API"

type apiSettings struct{ Server, Secret string }

// serveAPI is that process. GET /introspection and GET /jwt answer the scope of their token.
func serveAPI() {
	var s apiSettings
	err := json.Unmarshal([]byte(os.Getenv(apiEnv)), &s)
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	must(err)
	follow, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: liveIssuer, URL: s.Server + "/oauth2/revocations", ClientID: "api", ClientSecret: s.Secret})
	must(err)
	ask, err := middleware.NewIntrospection(middleware.IntrospectionConfig{URL: s.Server + "/oauth2/introspect", ClientID: "api", ClientSecret: s.Secret, Follow: follow})
	must(err)
	jwt, err := middleware.NewJWT(middleware.JWTConfig{Issuer: liveIssuer, JWKSURI: s.Server + "/oauth2/jwks", Audience: "https://orders.example.com", Follow: follow})
	must(err)
	for path, v := range map[string]middleware.Verifier{"/introspection": ask, "/jwt": jwt} {
		g, err := middleware.New(middleware.Config{Verifier: v, Audience: "https://orders.example.com"})
		must(err)
		http.Handle(path, g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, middleware.TokenFrom(r.Context()).Scope.String())
		})))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Printf("The API listens on http://%s\n", l.Addr())
	must(http.Serve(l, nil)) // #nosec G114 -- of a test, which ends it
}

// api starts the process, and gives the load two verifiers that ask it.
func (w *live) api(t *testing.T) *processtest.Process {
	t.Helper()
	settings, err := json.Marshal(apiSettings{w.askFronts[2], w.d.api})
	require.NoError(t, err)
	p := &processtest.Process{Cmd: exec.Command(os.Args[0])} // #nosec G204 -- this very program
	p.Cmd.Env = append(os.Environ(), apiEnv+"="+string(settings))
	p.Start(t)
	for _, v := range []*verifier{
		{name: "introspection, of a process", asks: 2, verify: askAPI(p.URL + "/introspection")},
		{name: "JWT, of a process", jwt: true, alone: true, verify: askAPI(p.URL + "/jwt")},
	} {
		w.verifiers = append(w.verifiers, v)
	}
	return p
}

// askAPI is a check by a request. It begins later in the API than here.
func askAPI(where string) func(ctx context.Context, text string) (*middleware.Token, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	return func(ctx context.Context, text string) (*middleware.Token, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+text)
		res, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusOK:
			scope, err := scopes.ParseGranted(string(body))
			return &middleware.Token{Scope: scope}, err
		case http.StatusUnauthorized:
			return nil, middleware.ErrInvalidToken
		}
		return nil, fmt.Errorf("status %d: %s", res.StatusCode, body)
	}
}
