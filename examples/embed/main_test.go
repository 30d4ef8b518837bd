package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestEmbed runs the program as its reader would. Five seconds are more than the two after which a
// server whose registry nobody runs answers 503. GRANTOR_TEST_EMBED=minute runs it for a minute.
func TestEmbed(t *testing.T) {
	program, err := processtest.Build(t.TempDir(), "github.com/grantor-auth/grantor/examples/embed")
	require.NoError(t, err)
	t.Run("in memory", func(t *testing.T) { serveAndAsk(t, program) })
	t.Run("on Redis", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "config.toml")
		text := strings.Replace(configuration, `"memory"`, `"redis"`, 1)
		text = "redis.url = \"redis://" + redistest.Start(t).Addr + "\"\n" + text
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		serveAndAsk(t, program, "--config", file)
	})
}

func serveAndAsk(t *testing.T, program string, args ...string) {
	t.Helper()
	long := 5 * time.Second
	if os.Getenv("GRANTOR_TEST_EMBED") == "minute" {
		long = time.Minute
	}
	p := running{&processtest.Process{Cmd: exec.Command(program, append([]string{"--listen", "127.0.0.1:0"}, args...)...)}}
	p.Start(t)
	tally := map[int]int{}
	begun := time.Now()
	for time.Since(begun) < long {
		p.round(t, tally)
		time.Sleep(10 * time.Millisecond) // a pace that leaves the machine to other tests
	}
	require.Zero(t, p.Stop(t, syscall.SIGTERM), p.Log)
	require.Zero(t, tally[http.StatusServiceUnavailable])
	said := p.Out.String() + p.Log.String()
	for line := range strings.Lines(said) {
		require.NotContains(t, line, "grantor/server", "a route of Grantor's among those of the program")
	}
	require.NotContains(t, said, `"level":"ERROR"`)
	t.Logf("%s: answers by status: %v; Gin's lines: %d, all of the program's own routes", long, tally, strings.Count(said, "-->"))
}

// running is the program.
type running struct{ *processtest.Process }

// round is a machine that gets a token, uses the token, gives it back, and is refused then.
func (p running) round(t *testing.T, tally map[int]int) {
	t.Helper()
	res, body := p.ask(t, tally, http.MethodPost, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, "")
	require.Equal(t, http.StatusOK, res, string(body))
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal(body, &issued))
	res, body = p.ask(t, tally, http.MethodGet, "/orders", nil, issued.AccessToken)
	require.Equal(t, http.StatusOK, res, string(body))
	res, body = p.ask(t, tally, http.MethodPost, "/oauth2/revoke", url.Values{"token": {issued.AccessToken}}, "")
	require.Equal(t, http.StatusOK, res, string(body))
	res, _ = p.ask(t, tally, http.MethodGet, "/orders", nil, issued.AccessToken)
	require.Equal(t, http.StatusUnauthorized, res)
}

func (p running) ask(t *testing.T, tally map[int]int, method, path string, form url.Values, token string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	} else {
		req.SetBasicAuth(config.DemoMachineID, config.DemoMachineSecret)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(res.Body)
	require.NoError(t, err)
	tally[res.StatusCode]++
	return res.StatusCode, body.Bytes()
}
