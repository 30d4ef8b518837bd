package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeServer speaks the protocol of the revocation feed and of introspection, as Grantor does.
// Tests change what it says, and when.
type fakeServer struct {
	issuer string
	lease  time.Duration
	page   int // entries in one answer

	mu        sync.Mutex
	entries   []fakeEntry // never empty
	number    int
	grown     chan struct{}
	notBefore int64
	tokens    map[string]*fakeToken
	status    map[string]int // by path: what is answered instead of 200

	polls, asked int

	// network carries a request; nil: at once and unchanged. It runs without the lock.
	network func(r *http.Request, send func() *http.Response) (*http.Response, error)
}

type fakeEntry struct {
	at    string
	names []string
}

type fakeToken struct {
	active bool
	says   map[string]any
}

const (
	pathFeed       = "/oauth2/revocations"
	pathIntrospect = "/oauth2/introspect"
	fakeIssuer     = "https://as.example.com"
)

func newFakeServer() *fakeServer {
	s := &fakeServer{issuer: fakeIssuer, lease: time.Second, page: 1000, grown: make(chan struct{}), tokens: map[string]*fakeToken{}, status: map[string]int{}}
	s.append()
	return s
}

// append adds an entry. The lock must be held, or nobody else know s.
func (s *fakeServer) append(names ...string) {
	s.number++
	s.entries = append(s.entries, fakeEntry{fmt.Sprintf("%d-0.%d", s.number, s.number*7919), names})
	close(s.grown)
	s.grown = make(chan struct{})
}

// issue makes an active token of a user: its names are jti-X, sid-X, rev-X and client.
func (s *fakeServer) issue(text string, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.tokens[text] = &fakeToken{true, map[string]any{"active": true, "token_type": "Bearer", "scope": "orders:read", "client_id": "app", "sub": "u-1", "sub_type": "user",
		"aud": api, "iss": s.issuer, "iat": now.Unix(), "exp": now.Add(ttl).Unix(), "jti": "jti-" + text, "sid": "sid-" + text, "rev": []string{"rev-" + text, "client"}}}
}

// say changes a member of what is said of a token; nil removes it.
func (s *fakeServer) say(text, member string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[text].says[member] = value; value == nil {
		delete(s.tokens[text].says, member)
	}
}

// end appends names, then ends the tokens that have one of them, as Grantor does.
func (s *fakeServer) end(names ...string) {
	s.tell(names...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.active = t.active && !slices.ContainsFunc(names, t.has)
	}
}

// tell appends names alone.
func (s *fakeServer) tell(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(names...)
}

func (t *fakeToken) has(name string) bool {
	rev, _ := t.says["rev"].([]string)
	return name == nameless || t.says["jti"] == name || t.says["sid"] == name || slices.Contains(rev, name)
}

// set changes the server.
func (s *fakeServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// lose cuts all entries off and begins anew, so that every position is unknown.
func (s *fakeServer) lose() {
	s.set(func() {
		s.entries = nil
		s.append()
	})
}

// counts returns how many polls and questions came.
func (s *fakeServer) counts() (polls, asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polls, s.asked
}

// RoundTrip implements http.RoundTripper.
func (s *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	send := func() *http.Response {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		res := w.Result()
		res.Request = r
		return res
	}
	s.mu.Lock()
	network := s.network
	s.mu.Unlock()
	var res *http.Response
	var err error
	if network == nil {
		res = send()
	} else if res, err = network(r, send); err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return res, nil
}

// ServeHTTP implements http.Handler.
func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	status := s.status[r.URL.Path]
	switch r.URL.Path {
	case pathFeed:
		s.polls++
	case pathIntrospect:
		s.asked++
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	var answer any
	switch r.URL.Path {
	case pathFeed:
		answer = s.poll(r.Context(), r.FormValue("after"), r.FormValue("echo"))
	case pathIntrospect:
		answer = s.introspect(r.FormValue("token"), r.FormValue("follow") == "true")
	default:
		answer = map[string]any{"issuer": s.issuer, "introspection_endpoint": fakeIssuer + pathIntrospect, "revocation_feed_endpoint": fakeIssuer + pathFeed}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// poll answers at once when there is an entry behind after, else it waits a quarter of the lease.
func (s *fakeServer) poll(ctx context.Context, after, echo string) *pollAnswer {
	a, grown := s.read(after, echo)
	if a.Position != after || a.Reset {
		return a
	}
	select {
	case <-grown:
	case <-time.After(time.Duration(a.Lease * float64(time.Second) / 4)):
	case <-ctx.Done():
	}
	a, _ = s.read(after, echo)
	return a
}

func (s *fakeServer) read(after, echo string) (*pollAnswer, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := slices.IndexFunc(s.entries, func(e fakeEntry) bool { return e.at == after }) + 1
	a := &pollAnswer{Echo: echo, Position: after, Lease: s.lease.Seconds(), Complete: true, Reset: next == 0 && after != "", NotBefore: s.notBefore}
	rest := s.entries[next:]
	if len(rest) > s.page {
		rest, a.Complete = rest[:s.page], false
	}
	for _, e := range rest {
		a.Position = e.at
		a.Ended = append(a.Ended, e.names...)
	}
	return a, s.grown
}

func (s *fakeServer) introspect(text string, follow bool) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[text]
	if t == nil || !t.active {
		return map[string]any{"active": false}
	}
	if exp, ends := t.says["exp"].(int64); ends && exp <= time.Now().Unix() {
		return map[string]any{"active": false}
	}
	answer := map[string]any{}
	if follow {
		answer["position"] = s.entries[len(s.entries)-1].at
	}
	for k, v := range t.says {
		answer[k] = v
	}
	return answer
}

// errNetwork is a network that is cut.
var errNetwork = errors.New("no route")

// follower returns a follower of the server.
func (s *fakeServer) follower(t testing.TB, change ...func(*FollowerConfig)) *Follower {
	t.Helper()
	cfg := FollowerConfig{Issuer: s.issuer, ClientID: "api", ClientSecret: "s", HTTPClient: &http.Client{Transport: s}, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	f, err := NewFollower(cfg)
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

// introspection returns a verifier that follows.
func (s *fakeServer) introspection(t testing.TB, f *Follower, change ...func(*IntrospectionConfig)) *Introspection {
	t.Helper()
	cfg := IntrospectionConfig{Issuer: s.issuer, ClientID: "api", ClientSecret: "s", Transport: s, Follow: f}
	for _, c := range change {
		c(&cfg)
	}
	v, err := NewIntrospection(cfg)
	require.NoError(t, err)
	return v
}

// jwt returns a verifier of JWTs that follows, and asks, if ask is not nil.
func (s *fakeServer) jwt(t testing.TB, f *Follower, ask *Introspection) *JWT {
	t.Helper()
	v, err := NewJWT(JWTConfig{Issuer: s.issuer, Audience: api, Follow: f, Ask: ask})
	require.NoError(t, err)
	t.Cleanup(v.Close)
	p := &published{}
	p.publish(t, map[string]any{"ec": signing().ec.Public()}, nil)
	v.keys = p
	return v
}

// issueJWT makes a JWT with the names of issue, under the name that its text is. It returns the
// text.
func (s *fakeServer) issueJWT(t testing.TB, name string, change map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{"iss": s.issuer, "sub": "u-1", "sub_type": "user", "aud": api, "client_id": "app", "iat": now, "exp": now + 900, "scope": "orders:read",
		"jti": "jti-" + name, "sid": "sid-" + name, "rev": []string{"rev-" + name, "client"}}
	for k, v := range change {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	text := sign(t, "ES256", "ec", "at+jwt", signing().ec, claims)
	s.issue(text, 15*time.Minute)
	for _, member := range []string{"jti", "sid", "rev", "iat", "exp"} {
		s.say(text, member, claims[member])
	}
	return text
}

// warm makes a follower fresh.
func warm(t testing.TB, f *Follower) {
	t.Helper()
	f.begin()
	for range 1000 {
		if f.Stats().Fresh {
			return
		}
		time.Sleep(time.Millisecond)
	}
	require.Fail(t, "the follower did not become fresh", "%v", f.Stats().Err)
}

// verdict is what a check says, in one word.
func verdict(t testing.TB, v Verifier, text string) string {
	t.Helper()
	_, err := v.Verify(t.Context(), text)
	switch {
	case err == nil:
		return "good"
	case errors.Is(err, ErrInvalidToken):
		return "refused"
	}
	require.NotContains(t, err.Error(), strings.TrimPrefix(text, "gat_"))
	return "unknown"
}

func bytesOf(r *http.Response) []byte {
	text, _ := io.ReadAll(r.Body)
	return text
}

func jsonResponse(r *http.Request, text []byte) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}
}

func jsonOf(r *http.Request, v any) *http.Response {
	text, _ := json.Marshal(v)
	return jsonResponse(r, text)
}
