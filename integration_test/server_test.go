package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func redisStore(s *redistest.Server) string {
	return fmt.Sprintf("store = \"redis\"\nredis.url = %q\n", s.URL)
}

const memoryStore = "store = \"memory\"\n"

func TestTokenLife(t *testing.T) {
	life := func(t *testing.T, d deployment, nodes ...*process) {
		a, b := nodes[0], nodes[len(nodes)-1]
		token := d.token(t, a)
		r := d.introspect(t, b, token)
		require.Equal(t, true, r.json["active"], r.body)
		require.Equal(t, "orders:read", r.json["scope"])
		require.Equal(t, 200, post(t, a.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}}).status)
		require.Equal(t, dead, d.introspect(t, b, token).body)
	}
	t.Run("CC-01 RV-02 issue, introspect, revoke on memory", func(t *testing.T) {
		d := deploy(t, memoryStore)
		life(t, d, d.serve(t))
	})
	t.Run("IN-27 RFC 7009 §2 revoked on one node is inactive on the other at once, on Redis", func(t *testing.T) {
		d := deploy(t, redisStore(redistest.Start(t)))
		life(t, d, d.serve(t), d.serve(t))
	})
	t.Run("tokens outlive a restart of Grantor", func(t *testing.T) {
		d := deploy(t, redisStore(redistest.Start(t)))
		p := d.serve(t)
		token := d.token(t, p)
		require.Zero(t, p.stop(termination))
		require.Equal(t, true, d.introspect(t, d.serve(t), token).json["active"])
	})
	t.Run("tokens outlive a restart of Redis with its append-only file", func(t *testing.T) {
		s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		d := deploy(t, redisStore(s))
		p := d.serve(t)
		token, gone := d.token(t, p), d.token(t, p)
		require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {gone}}).status)
		s.Restart()
		require.Eventually(t, func() bool { return d.introspect(t, p, token).json["active"] == true }, 5*time.Second, 20*time.Millisecond)
		require.Equal(t, dead, d.introspect(t, p, gone).body)
	})
}

func TestRedisStoppedMidRun(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*redistest.Server) }{
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"paused": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run("ER-06 IN-25 RV-14 S-20 Redis "+name+": 503 with Retry-After within 3 s, never active:false, and back by itself", func(t *testing.T) {
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			d := deploy(t, redisStore(s))
			p := d.serve(t)
			token := d.token(t, p)
			fault.begin(s)
			for _, ask := range []func() reply{
				func() reply { return d.introspect(t, p, token) },
				func() reply {
					return post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials)
				},
				func() reply {
					return post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}})
				},
			} {
				begun := time.Now()
				r := ask()
				require.Equal(t, 503, r.status, r.body)
				require.NotEmpty(t, r.header.Get("Retry-After"))
				require.NotContains(t, r.body, "active")
				require.Less(t, time.Since(begun), 3*time.Second)
			}
			fault.end(s)
			returned := time.Now()
			require.Eventually(t, func() bool {
				r, err := tryPost(t.Context(), p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {token}})
				require.NoError(t, err)
				if r.status == 200 && name == "killed" { // a paused Redis may have executed the revocation meanwhile
					require.Equal(t, true, r.json["active"], r.body)
				}
				return r.status == 200
			}, 5*time.Second, 10*time.Millisecond)
			t.Logf("service again %s after Redis", time.Since(returned).Round(time.Millisecond))
		})
	}
}

func TestStart(t *testing.T) {
	refuses := func(t *testing.T, text, want string, environ ...string) {
		d := deploy(t, text)
		c := exec.Command(built(t, module), "serve", "--config", d.config)
		c.Env = append(c.Env, environ...)
		out, err := c.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, c.ProcessState.ExitCode(), string(out))
		require.Contains(t, string(out), want)
	}
	t.Run("TE-01 §3.2 a non-https issuer off loopback does not start", func(t *testing.T) {
		refuses(t, memoryStore+"issuer = \"http://auth.example.com\"\n", "issuer: must begin with https://")
	})
	t.Run("TE-01 §3.2 a listener off loopback without TLS does not start", func(t *testing.T) {
		refuses(t, "redis.url = \"redis://127.0.0.1:1\"\nlisten = \"0.0.0.0:0\"\n", "listen: off loopback needs [tls]")
	})
	t.Run("S-67 V-32 the shipped configuration does not start off loopback", func(t *testing.T) {
		c := exec.Command(built(t, module), "serve", "--config", "../config.toml", "--listen", "0.0.0.0:0")
		out, err := c.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, c.ProcessState.ExitCode())
		require.Contains(t, string(out), "has the published demo secret")
	})
	t.Run("S-67 --trial off loopback makes fresh secrets and prints them once", func(t *testing.T) {
		p := run(t, built(t, module), nil, "--trial", "--listen", "0.0.0.0:0")
		require.Eventually(t, func() bool { return strings.Contains(p.Out.String(), "demo-machine:gcs_") }, 5*time.Second, time.Millisecond)
		require.NotContains(t, p.Out.String(), "gcs_KllMi3")
	})
	t.Run("S-26 a Redis that evicts is refused", func(t *testing.T) {
		s := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
		c := exec.Command(built(t, module), "serve", "--config", deploy(t, redisStore(s)).config)
		out, err := c.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 1, c.ProcessState.ExitCode())
		require.Contains(t, string(out), "noeviction")
	})
	t.Run("config check tells every mistake and exits 2", func(t *testing.T) {
		name := t.TempDir() + "/c.toml"
		require.NoError(t, os.WriteFile(name, []byte("a = 1\nb = 2\n"), 0o600))
		c := exec.Command(built(t, module), "config", "check", "--config", name)
		out, err := c.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, c.ProcessState.ExitCode())
		require.Contains(t, string(out), name+":1:1: a: there is no such key")
		require.Contains(t, string(out), name+":2:1: b: there is no such key")
	})
	t.Run("TE-01 TLS served by itself", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("curl is not on PATH")
		}
		d := deploy(t, memoryStore)
		cert, key := certificate(t)
		p := run(t, built(t, module), []string{"GRANTOR_TLS__MODE=files", "GRANTOR_TLS__CERT_FILE=" + cert, "GRANTOR_TLS__KEY_FILE=" + key},
			"serve", "--config", d.config, "--listen", "127.0.0.1:0")
		require.True(t, strings.HasPrefix(p.URL, "https://"))
		out, err := exec.Command("curl", "-s", "--cacert", cert, "-u", "machine:"+d.machine, "-d", "grant_type=client_credentials",
			strings.Replace(p.URL, "127.0.0.1", "localhost", 1)+"/oauth2/token").Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "access_token")
		require.Error(t, exec.Command("curl", "-s", "--tls-max", "1.1", "--cacert", cert, strings.Replace(p.URL, "127.0.0.1", "localhost", 1)+"/healthz").Run(), "V-37 TLS 1.1 is refused")
		health := exec.Command(built(t, module), "health", "--config", d.config, "--listen", strings.TrimPrefix(p.URL, "https://"))
		health.Env = []string{"GRANTOR_TLS__MODE=files", "GRANTOR_TLS__CERT_FILE=" + cert, "GRANTOR_TLS__KEY_FILE=" + key}
		require.NoError(t, health.Run())
	})
}

func TestGracefulStop(t *testing.T) {
	t.Run("S-60 SIGTERM: requests that were begun are answered, exit 0", func(t *testing.T) {
		d := deploy(t, memoryStore)
		p := d.serve(t)
		failed := make(chan error, 1)
		stop := make(chan struct{})
		var answered atomic.Int64
		go func() {
			defer close(failed)
			for ; ; answered.Add(1) {
				select {
				case <-stop:
					return
				default:
				}
				res, err := http.Get(p.URL + "/readyz") // a balancer turns away when readiness falls
				if err != nil {
					return
				}
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					return
				}
				r, err := tryPost(t.Context(), p.URL+"/oauth2/token", "machine", d.machine, clientCredentials)
				if err == nil && r.status != http.StatusOK {
					err = fmt.Errorf("status %d: %s", r.status, r.body)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
		require.Eventually(t, func() bool { return answered.Load() >= 20 }, 10*time.Second, time.Millisecond)
		require.Zero(t, p.stop(termination))
		close(stop)
		require.NoError(t, <-failed)
	})
}

func TestRealClients(t *testing.T) {
	d := deploy(t, memoryStore)
	p := d.serve(t)
	t.Run("golang.org/x/oauth2 as the machine client", func(t *testing.T) {
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
			cc := clientcredentials.Config{ClientID: "machine", ClientSecret: d.machine, TokenURL: p.URL + "/oauth2/token", Scopes: []string{"orders:write"}, AuthStyle: style}
			tok, err := cc.Token(t.Context())
			require.NoError(t, err)
			require.Equal(t, "orders:read orders:write", tok.Extra("scope"))
			require.WithinDuration(t, time.Now().Add(15*time.Minute), tok.Expiry, 5*time.Second)
		}
		cc := clientcredentials.Config{ClientID: "machine", ClientSecret: "wrong", TokenURL: p.URL + "/oauth2/token"}
		_, err := cc.Token(t.Context())
		var re *oauth2.RetrieveError
		require.ErrorAs(t, err, &re)
		require.Equal(t, "invalid_client", re.ErrorCode)
	})
	t.Run("requests-oauthlib (Python) as the machine client", func(t *testing.T) {
		python(t, "requests_oauthlib", `
import os, sys
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
from oauthlib.oauth2 import BackendApplicationClient, InvalidScopeError
from requests_oauthlib import OAuth2Session
url, secret = sys.argv[1], sys.argv[2]
s = OAuth2Session(client=BackendApplicationClient(client_id="machine", scope=["orders:read"]))
t = s.fetch_token(token_url=url + "/oauth2/token", client_id="machine", client_secret=secret)
assert t["token_type"] == "Bearer" and t["scope"] == ["orders:read"] and t["access_token"].startswith("gat_"), t
try:
    OAuth2Session(client=BackendApplicationClient(client_id="machine", scope=["nope"])).fetch_token(token_url=url + "/oauth2/token", client_id="machine", client_secret=secret)
    raise SystemExit("an unknown scope was granted")
except InvalidScopeError:
    pass
`, p.URL, d.machine)
	})
}

// python runs a script by Debian's Python, where the library is.
func python(t *testing.T, library, script string, args ...string) {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	if exec.Command(interpreter, "-c", "import "+library).Run() != nil {
		if os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON") == "1" {
			t.Fatalf("%s has no %s", interpreter, library)
		}
		t.Skipf("%s has no %s", interpreter, library)
	}
	out, err := exec.Command(interpreter, append([]string{"-c", script}, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
}
