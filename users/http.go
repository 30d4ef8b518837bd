package users

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/grantor-auth/grantor/internal/loopback"
)

// HTTPConfig says where the application is that knows the users.
type HTTPConfig struct {
	URL     string        // https, or http on loopback
	Secret  string        // signs the requests: at least MinHTTPSecret bytes, known to both sides
	Timeout time.Duration // of one question; 0 is 5 s
	// Transport carries the requests, for a private CA; nil: the default one, with as many
	// connections as questions may be asked at once.
	Transport http.RoundTripper
}

// Bounds of the conversation with an application.
const (
	MinHTTPSecret      = 32
	defaultHTTPTimeout = 5 * time.Second
	maxHTTPAnswer      = 64 << 10
	httpSlots          = 32 // questions with a password at once
)

// HTTP is the Authenticator that asks the application itself. Each question is one POST to one
// URL with a JSON body:
//
//	{"username": "ada", "password": "…"}   a login
//	{"sub": "u-1"}                         a refresh: is this user still welcome?
//
// The application answers 200 and
//
//	{"sub": "u-1", "username": "ada", "scope": "orders:read", "claims": {"role": "editor"}, "credential": "…"}
//
// or 401: wrong name or password, or gone or disabled; with {"sub": "u-1"} where the name is a
// user's, so that failures count for the user and not for each spelling of the name. sub is an
// immutable id. The rest may be left out: username, scope (the most that tokens may carry; absent
// or null: none of the user's own), claims (custom claims of the tokens; see claims.Set) and
// credential, any text that changes when the password does, which ends the user's refresh tokens.
// Every other answer means that the application cannot say.
//
// The header Grantor-Signature holds "t=T,v1=H": T the time in Unix seconds, H the hexadecimal
// HMAC-SHA256 under the secret over T, a full stop and the body. The application compares H and
// refuses a T that is minutes away.
type HTTP struct {
	url    string
	secret []byte
	client *http.Client
	slots  *Slots
	pace   pace
	owners *lru.Cache[string, string] // name → sub, as the application said last; for counting alone
}

// maxOwners bounds the names that are remembered.
const maxOwners = 8192

// NewHTTP checks cfg and returns the Authenticator.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if err := checkURL(cfg.URL); err != nil {
		return nil, err
	}
	if len(cfg.Secret) < MinHTTPSecret {
		return nil, fmt.Errorf("secret must have at least %d bytes: it signs the requests", MinHTTPSecret)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultHTTPTimeout
	}
	client := &http.Client{
		Timeout: cfg.Timeout,
		// A redirect would carry the password elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if client.Transport = cfg.Transport; cfg.Transport == nil {
		client.Transport = newTransport()
	}
	owners, err := lru.New[string, string](maxOwners)
	if err != nil {
		return nil, err
	}
	return &HTTP{url: cfg.URL, secret: []byte(cfg.Secret), client: client, slots: NewSlots(httpSlots), owners: owners}, nil
}

func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // a program that embeds us has its own
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost, t.MaxConnsPerHost = httpSlots, 2*httpSlots
	return t
}

// checkURL demands https, or http to this very machine: a password travels there.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New(`url must be absolute, without user and fragment, as in "https://app.example.com/grantor"`)
	}
	if loopback.Secure(u) {
		return nil
	}
	return errors.New("url must be https, or http on loopback: a password travels there")
}

// Lookup implements Authenticator. The application is not asked yet: failures count by the name, or
// by the user whose name it was when the application was asked last.
func (h *HTTP) Lookup(_ context.Context, login Login) (*Attempt, error) {
	a := &Attempt{login: login, late: true}
	if sub, known := h.owners.Get(login.name); known {
		a.user = &User{ID: sub}
	}
	return a, nil
}

// remember keeps whose name it was.
func (h *HTTP) remember(name string, u *User) {
	if u == nil {
		h.owners.Remove(name)
		return
	}
	h.owners.Add(name, u.ID)
}

// Verify implements Authenticator.
func (h *HTTP) Verify(ctx context.Context, a *Attempt) (*User, error) {
	var u *User
	var failed error
	start := time.Now()
	err := h.slots.Do(ctx, func() {
		u, failed = h.ask(ctx, appQuestion{Username: a.login.name, Password: a.login.password})
	})
	if err != nil {
		return nil, err
	}
	if errors.Is(failed, ErrUnknown) {
		h.pace.note(time.Since(start))
		h.remember(a.login.name, u)
		refusal := &LoginError{Reason: ReasonPassword}
		if u != nil {
			refusal.Subject = u.ID
		}
		return nil, refusal
	}
	if failed != nil {
		return nil, failed
	}
	h.remember(a.login.name, u)
	if u.Username == "" {
		u.Username = a.login.name
	}
	return u, nil
}

// Decline implements Authenticator.
func (h *HTTP) Decline(ctx context.Context) { h.pace.wait(ctx) }

// Slots implements Authenticator: how many logins the application is asked about at once.
func (h *HTTP) Slots() *Slots { return h.slots }

// Recheck implements Authenticator.
func (h *HTTP) Recheck(ctx context.Context, id string) (*User, error) {
	u, err := h.ask(ctx, appQuestion{Subject: id})
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, ErrGone
	case err == nil && u.ID != id:
		return nil, unusableAnswer("http", errors.New("asked for one sub, the application answered another"))
	}
	return u, err
}
