package users_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

const appSecret = "0123456789abcdef0123456789abcdef"

// application starts an application that answers with f, after it has checked the signature.
func application(t *testing.T, f func(w http.ResponseWriter, q map[string]string)) *users.HTTP {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !signed(r.Header.Get("Grantor-Signature"), body) || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var q map[string]string
		_ = json.Unmarshal(body, &q)
		f(w, q)
	}))
	t.Cleanup(app.Close)
	h, err := users.NewHTTP(users.HTTPConfig{URL: app.URL + "/login?key=s3cr3t", Secret: appSecret, Timeout: 2 * time.Second})
	require.NoError(t, err)
	return h
}

// signed checks a signature as an application would.
func signed(header string, body []byte) bool {
	t, v1, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	unix, err := strconv.ParseInt(t, 10, 64)
	if err != nil || time.Since(time.Unix(unix, 0)).Abs() > time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write([]byte(t + "." + string(body)))
	want, _ := hex.DecodeString(v1)
	return hmac.Equal(mac.Sum(nil), want)
}

func TestHTTP(t *testing.T) {
	answer := `{"sub":"u-1","username":"Ada","scope":"orders:read","credential":"7"}`
	auth := application(t, func(w http.ResponseWriter, q map[string]string) {
		right := q["username"] == "ada" && q["password"] == staple || q["sub"] == "u-1" && len(q) == 1
		if !right {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, answer)
	})
	t.Run("PW-01 200", func(t *testing.T) {
		u, err := verify(t.Context(), auth, "ada", staple)
		require.NoError(t, err)
		require.Equal(t, "u-1", u.ID)
		require.Equal(t, "Ada", u.Username)
		require.Equal(t, "orders:read", u.Rules(scopes.Rules{}).String())
		require.Equal(t, users.NewCredential("7"), u.Credential)
	})
	t.Run("PW-03 401", func(t *testing.T) {
		_, err := verify(t.Context(), auth, "ada", "wrong")
		require.ErrorIs(t, err, users.ErrRefused)
		auth.Decline(t.Context())
	})
	t.Run("S-11 failures count by the folded name", func(t *testing.T) {
		for _, name := range []string{"ADA", "ada", "\u00e1da", "\uff21da", "Ad a"} {
			login, err := users.NewLogin(name, "x")
			require.NoError(t, err)
			a, err := auth.Lookup(t.Context(), login)
			require.NoError(t, err)
			require.Equal(t, "name:ada", a.Key())
		}
	})
	t.Run("S-11 a 401 may say whose name it was, and says nothing else", func(t *testing.T) {
		for body, want := range map[string]string{
			`{"sub":"u-7"}`: "u-7", `{"sub":"u-7","scope":"a\"b"}`: "u-7", ``: "", `<html>`: "", `{"sub":7}`: "", `{"sub":"a b"}`: "",
		} {
			auth := application(t, func(w http.ResponseWriter, _ map[string]string) {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, body)
			})
			_, err := verify(t.Context(), auth, "ada", "wrong")
			var refusal *users.LoginError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, want, refusal.Subject, body)
			_, err = auth.Recheck(t.Context(), "u-7")
			require.ErrorIs(t, err, users.ErrGone)
		}
	})
	t.Run("RT-18 recheck", func(t *testing.T) {
		u, err := auth.Recheck(t.Context(), "u-1")
		require.NoError(t, err)
		require.Equal(t, "u-1", u.ID)
		_, err = auth.Recheck(t.Context(), "u-2")
		require.ErrorIs(t, err, users.ErrGone)
	})
	t.Run("what the application leaves out", func(t *testing.T) {
		answer = `{"sub":"u-1"}`
		u, err := verify(t.Context(), auth, "ada", staple)
		require.NoError(t, err)
		require.Equal(t, "ada", u.Username)
		require.Nil(t, u.Scope)
	})
}

func TestHTTPAnythingElseIsNoAnswer(t *testing.T) {
	for name, f := range map[string]func(w http.ResponseWriter){
		"400":              func(w http.ResponseWriter) { w.WriteHeader(400); _, _ = io.WriteString(w, `{"sub":"u-1"}`) },
		"403":              func(w http.ResponseWriter) { w.WriteHeader(403); _, _ = io.WriteString(w, `{"sub":"u-1"}`) },
		"404":              func(w http.ResponseWriter) { w.WriteHeader(404); _, _ = io.WriteString(w, `{"sub":"u-1"}`) },
		"500":              func(w http.ResponseWriter) { w.WriteHeader(500); _, _ = io.WriteString(w, `{"sub":"u-1"}`) },
		"204":              func(w http.ResponseWriter) { w.WriteHeader(204) },
		"empty":            func(w http.ResponseWriter) {},
		"HTML":             func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"no sub":           func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"username":"ada"}`) },
		"sub is a number":  func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sub":1}`) },
		"sub with a space": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sub":"a b"}`) },
		"odd username":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sub":"u-1","username":"a\u0000"}`) },
		"odd scope":        func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sub":"u-1","scope":"a\"b"}`) },
		"reserved scope":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sub":"u-1","scope":"grantor:admin"}`) },
		"too long": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"sub":"u-1","x":"`+strings.Repeat("a", 1<<20)+`"}`)
		},
		"broken off":        func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); _, _ = io.WriteString(w, `{`) },
		"two JSON values":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sub":"u-1"}{"sub":"u-2"}`) },
		"recheck's another": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `[]`) },
	} {
		t.Run("ER-06 "+name, func(t *testing.T) {
			auth := application(t, func(w http.ResponseWriter, _ map[string]string) { f(w) })
			_, err := verify(t.Context(), auth, "ada", staple)
			require.ErrorIs(t, err, users.ErrUnavailable)
			require.NotErrorIs(t, err, users.ErrRefused)
			require.NotErrorIs(t, err, scopes.ErrSyntax, "no mistake of the request")
			var malformed *users.MalformedError
			require.False(t, errors.As(err, &malformed), "no mistake of the request")
			require.NotContains(t, err.Error(), "s3cr3t")
			_, err = auth.Recheck(t.Context(), "u-1")
			require.ErrorIs(t, err, users.ErrUnavailable)
			require.NotErrorIs(t, err, users.ErrGone)
		})
	}
	t.Run("a redirect carries the password nowhere", func(t *testing.T) {
		calls := 0
		auth := application(t, func(w http.ResponseWriter, _ map[string]string) {
			if calls++; calls == 1 {
				w.Header().Set("Location", "/other")
				w.WriteHeader(http.StatusTemporaryRedirect)
			}
			_, _ = io.WriteString(w, `{"sub":"u-1"}`)
		})
		_, err := verify(t.Context(), auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrUnavailable)
		require.Equal(t, 1, calls)
	})
	t.Run("another sub than asked", func(t *testing.T) {
		auth := application(t, func(w http.ResponseWriter, _ map[string]string) { _, _ = io.WriteString(w, `{"sub":"u-2"}`) })
		_, err := auth.Recheck(t.Context(), "u-1")
		require.ErrorIs(t, err, users.ErrUnavailable)
	})
	t.Run("away", func(t *testing.T) {
		app := httptest.NewServer(http.NotFoundHandler())
		app.Close()
		auth, err := users.NewHTTP(users.HTTPConfig{URL: app.URL + "?key=s3cr3t", Secret: appSecret})
		require.NoError(t, err)
		_, err = verify(t.Context(), auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrUnavailable)
		require.NotContains(t, err.Error(), "s3cr3t")
	})
	t.Run("silent", func(t *testing.T) {
		hold := make(chan struct{})
		auth := application(t, func(http.ResponseWriter, map[string]string) { <-hold })
		t.Cleanup(func() { close(hold) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := verify(ctx, auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrUnavailable)
	})
}

func TestHTTPRefusesItsConfig(t *testing.T) {
	for name, cfg := range map[string]users.HTTPConfig{
		"http off loopback": {URL: "http://app.example.com/", Secret: appSecret},
		"no url":            {Secret: appSecret},
		"relative":          {URL: "/login", Secret: appSecret},
		"user in the url":   {URL: "https://a:b@app.example.com/", Secret: appSecret},
		"ftp":               {URL: "ftp://127.0.0.1/", Secret: appSecret},
		"no secret":         {URL: "https://app.example.com/"},
		"short secret":      {URL: "https://app.example.com/", Secret: "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := users.NewHTTP(cfg)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	for _, good := range []string{"https://app.example.com/login", "http://127.0.0.1:8000/", "http://[::1]/", "http://localhost/"} {
		_, err := users.NewHTTP(users.HTTPConfig{URL: good, Secret: appSecret})
		require.NoError(t, err, good)
	}
}
