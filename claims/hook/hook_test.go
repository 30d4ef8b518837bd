package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/claims"
)

const secret = "0123456789abcdef0123456789abcdef"

var question = claims.Question{ClientID: "app", Subject: "u-1", SubjectType: "user", Scope: "orders:read", Grant: "password"}

// serve answers questions by f.
func serve(t *testing.T, timeout time.Duration, f http.HandlerFunc) *Claims {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	h, err := New(Config{URL: s.URL + "/claims?key=in-the-query", Secret: secret, Timeout: timeout})
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestQuestion(t *testing.T) {
	var body []byte
	var header http.Header
	h := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		says(`{"claims": {"tenant_id": "t-7", "gone": null}, "else": 1}`)(w, r)
	})
	got, err := h.Claims(t.Context(), question)
	require.NoError(t, err)
	require.Equal(t, `{"tenant_id":"t-7"}`, got.String())
	require.JSONEq(t, `{"client_id":"app","sub":"u-1","sub_type":"user","scope":"orders:read","grant_type":"password"}`, string(body))
	at, signed, found := strings.Cut(strings.TrimPrefix(header.Get("Grantor-Signature"), "t="), ",v1=")
	require.True(t, found)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "." + string(body)))
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), signed, "the signature is that of users.HTTP")
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		f    http.HandlerFunc
		kind error
		want string
	}{
		"500":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, claims.ErrUnavailable, "the application answered 500, not 200"},
		"204":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, claims.ErrUnavailable, "answered 204"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", 307) }, claims.ErrUnavailable, "answered 307"},
		"an answer cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"cl`)
		}, claims.ErrUnavailable, "EOF"},
		"5 MB":                   {says(`{"claims":{"a":"` + strings.Repeat("x", 5<<20) + `"}}`), claims.ErrAnswer, "longer than 16384 bytes"},
		"16 kB and a byte":       {says(`{"claims":{}}` + strings.Repeat(" ", 16<<10-12)), claims.ErrAnswer, "longer than 16384 bytes"},
		"claims above 2 kB":      {says(`{"claims":{"a":"` + strings.Repeat("x", 2100) + `"}}`), claims.ErrAnswer, "the claims are 2108 bytes of JSON, and a token carries at most 2048"},
		"no JSON":                {says(`tenant_id=t-7`), claims.ErrAnswer, `not the JSON object {"claims": {…}}`},
		"a list":                 {says(`[{"claims":{}}]`), claims.ErrAnswer, "not the JSON object"},
		"no claims":              {says(`{"claim":{"a":1}}`), claims.ErrAnswer, "not the JSON object"},
		"claims of another type": {says(`{"claims":["a"]}`), claims.ErrAnswer, "not the JSON object"},
		"claims null":            {says(`{"claims":null}`), claims.ErrAnswer, "not the JSON object"},
		"claims twice":           {says(`{"claims":{"a":1},"claims":{"a":2}}`), claims.ErrAnswer, "not the JSON object"},
		"a name twice":           {says(`{"claims":{"a":1,"a":2}}`), claims.ErrAnswer, "unique names"},
		"a registered name":      {says(`{"claims":{"role":"x","sub":"u-2"}}`), claims.ErrAnswer, `claim "sub": the name has a meaning by RFC 7519 §4.1`},
		"a name in another case": {says(`{"claims":{"Active":false}}`), claims.ErrAnswer, "RFC 7662 §2.2"},
		"null in a list":         {says(`{"claims":{"a":[null]}}`), claims.ErrAnswer, "null inside a list"},
		"a number for nobody":    {says(`{"claims":{"a":1e400}}`), claims.ErrAnswer, "write it as a text"},
		"lists without an end":   {says(`{"claims":{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`), claims.ErrAnswer, "deep"},
		"more behind the object": {says(`{"claims":{}}{}`), claims.ErrAnswer, "not the JSON object"},
		"headers without an end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 64<<10))
			w.WriteHeader(200)
		}, claims.ErrUnavailable, "header"},
		"a connection that is cut": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, claims.ErrUnavailable, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := serve(t, 5*time.Second, c.f).Claims(t.Context(), question)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.want)
			require.True(t, got.IsZero(), "never half of them")
			require.NotContains(t, err.Error(), "in-the-query")
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func TestSlowAndGone(t *testing.T) {
	t.Run("an application that sends one byte at a time ends with the timeout", func(t *testing.T) {
		h := serve(t, 100*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
		begun := time.Now()
		_, err := h.Claims(context.WithoutCancel(t.Context()), question)
		require.ErrorIs(t, err, claims.ErrUnavailable)
		require.Less(t, time.Since(begun), 3*time.Second)
	})
	t.Run("nobody listens", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		s.Close()
		h, err := New(Config{URL: s.URL, Secret: secret})
		require.NoError(t, err)
		_, err = h.Claims(t.Context(), question)
		require.ErrorIs(t, err, claims.ErrUnavailable)
	})
}

func TestConfig(t *testing.T) {
	for want, c := range map[string]Config{
		"url must be absolute":               {URL: "app", Secret: secret},
		"url must be https, or http on loop": {URL: "http://app.example.com/claims", Secret: secret},
		"without user and fragment":          {URL: "https://u:p@app.example.com", Secret: secret},
		"secret must have at least 32 bytes": {URL: "https://app.example.com", Secret: "short"},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
}
