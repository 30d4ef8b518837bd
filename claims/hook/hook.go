// Package hook asks an application for custom claims, by signed requests as users.HTTP sends.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/internal/signature"
)

// Config says where the application is.
type Config struct {
	URL     string        // https, or http on loopback
	Secret  string        // signs the requests: at least signature.MinSecretBytes, known to both sides
	Timeout time.Duration // of one question, waiting for a connection included; 0: 2 s
	// Transport carries the requests, for a private CA; nil: one of our own.
	Transport http.RoundTripper
}

// Bounds of the conversation.
const (
	defaultTimeout = 2 * time.Second
	maxAnswer      = 16 << 10
	maxConns       = 64
)

// Claims asks one URL for claims. A question is one POST with a JSON body:
//
//	{"client_id": "app", "sub": "u-1", "sub_type": "user", "scope": "orders:read", "grant_type": "password"}
//
// The application answers 200 and {"claims": {"tenant_id": "t-7"}}, at most 16 kB. Every other
// answer means that no token can be issued now. The header Grantor-Signature is as users.HTTP has
// it. Redirects are not followed. Any number of goroutines may ask.
type Claims struct {
	url    string
	secret []byte
	client *http.Client
}

// New checks cfg.
func New(cfg Config) (*Claims, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New(`url must be absolute, without user and fragment, as in "https://app.example.com/claims"`)
	case !loopback.Secure(u):
		return nil, errors.New("url must be https, or http on loopback: whoever answers decides what tokens say")
	case len(cfg.Secret) < signature.MinSecretBytes:
		return nil, fmt.Errorf("secret must have at least %d bytes: it signs the requests", signature.MinSecretBytes)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxConns,
			IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: maxAnswer, ForceAttemptHTTP2: true}
	}
	return &Claims{url: cfg.URL, secret: []byte(cfg.Secret), client: &http.Client{
		Transport: cfg.Transport, Timeout: cfg.Timeout,
		// A redirect would let somebody else decide what tokens say.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Claims returns what the application answers, checked. Errors wrap claims.ErrUnavailable or
// claims.ErrAnswer, and quote nothing of the answer but names of claims.
func (h *Claims) Claims(ctx context.Context, q claims.Question) (claims.Set, error) {
	text, err := h.ask(ctx, q)
	if err != nil {
		return claims.Set{}, fmt.Errorf("%w: %w", claims.ErrUnavailable, bare(err))
	}
	got, err := read(text)
	if err != nil {
		return claims.Set{}, fmt.Errorf("%w: hooks.claims: %w", claims.ErrAnswer, err)
	}
	return got, nil
}

func (h *Claims) ask(ctx context.Context, q claims.Question) ([]byte, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, errors.New("the question cannot be written")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the url cannot be asked")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set(signature.Header, signature.Of(h.secret, time.Now(), body))
	res, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or given up
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the application answered %d, not 200", res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
}

// read takes {"claims": {…}} apart.
func read(text []byte) (claims.Set, error) {
	if len(text) > maxAnswer {
		return claims.Set{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	members, err := jsonobject.Read(text)
	own, there := members.Get("claims")
	if err != nil || !there || own[0] != '{' {
		return claims.Set{}, errors.New(`the answer is not the JSON object {"claims": {…}}`)
	}
	got, err := claims.Parse(own)
	if err == nil {
		err = got.Check()
	}
	return got, err
}

// bare drops the URL from an error: its query may hold a secret.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// Close closes connections that no question uses. nil has none.
func (h *Claims) Close() {
	if h != nil {
		h.client.CloseIdleConnections()
	}
}
