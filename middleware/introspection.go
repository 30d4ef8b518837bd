package middleware

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/loopback"
)

// IntrospectionConfig is what an Introspection is made of.
type IntrospectionConfig struct {
	Issuer       string        // the authorization server; its metadata names the endpoint (RFC 8414)
	URL          string        // the introspection endpoint itself, instead of Issuer
	ClientID     string        // this resource server
	ClientSecret string        //
	Timeout      time.Duration // of one question; 0: 3 seconds
	CacheTTL     time.Duration // how long an answer may be reused: so long may a revocation go unseen; 0: no cache
	CacheSize    int           // answers that are kept; 0: 10,000

	// Follow keeps each answer until the token's exp, and still refuses a token that was ended, as
	// Follower promises. While the follower is stale each check asks. Not beside CacheTTL.
	Follow *Follower

	// MaxQuestions is how many questions are under way at once, with Follow. Others wait, at most
	// for Timeout. 0: 256.
	MaxQuestions int

	// Transport carries the questions. nil: HTTP/1.1 over up to 256 kept connections. One question
	// at a time then costs half of HTTP/2, and 64 at once about the same. For HTTP/2 give an
	// http.Transport with ForceAttemptHTTP2.
	Transport http.RoundTripper

	// AllowInsecureHTTP takes an Issuer or URL with http:// off loopback, for a server inside a
	// cluster. Danger: tokens and the ClientSecret go over the network in clear, and whoever is
	// on the way can call any token active, with any scope. Use it only where something else
	// protects that way, such as a service mesh with mutual TLS.
	AllowInsecureHTTP bool
}

// Introspection is the Verifier that asks the authorization server about each token (RFC 7662).
type Introspection struct {
	cfg      IntrospectionConfig
	client   *http.Client
	cache    *cache
	live     *live
	mu       sync.Mutex
	endpoint string // found by discovery
}

// NewIntrospection checks cfg and returns the verifier. The server need not be up yet: the
// endpoint is looked up at the first question.
func NewIntrospection(cfg IntrospectionConfig) (*Introspection, error) {
	where := cfg.URL
	if where == "" {
		where = cfg.Issuer
	}
	switch {
	case where == "" || cfg.URL != "" && cfg.Issuer != "":
		return nil, errors.New("middleware: give either Issuer or URL")
	case cfg.ClientID == "" || cfg.ClientSecret == "":
		return nil, errors.New("middleware: introspection needs ClientID and ClientSecret (RFC 7662 §2.1)")
	case cfg.CacheTTL < 0 || cfg.CacheSize < 0 || cfg.Timeout < 0 || cfg.MaxQuestions < 0:
		return nil, errors.New("middleware: Timeout, CacheTTL, CacheSize and MaxQuestions must not be negative")
	case cfg.Follow != nil && cfg.CacheTTL > 0:
		return nil, errors.New("middleware: give either Follow or CacheTTL: a cache would hide what the follower tells")
	}
	if err := cfg.Follow.serves(cfg.Issuer); err != nil {
		return nil, err
	}
	if err := secureURL(where, cfg.AllowInsecureHTTP); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Transport == nil {
		cfg.Transport = defaultTransport(cfg.Timeout)
	}
	v := &Introspection{cfg: cfg, endpoint: cfg.URL, client: &http.Client{
		Transport: cfg.Transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if cfg.CacheTTL > 0 {
		v.cache = newCache(cfg.CacheTTL, cfg.CacheSize)
	}
	if cfg.Follow != nil {
		v.live = newLive(cfg)
	}
	return v, nil
}

// defaultTransport speaks HTTP/1.1: with a DialContext of its own, a transport does not try HTTP/2.
func defaultTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 256, MaxIdleConnsPerHost: 256,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: timeout,
		DialContext: (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext}
}

// secureURL demands https, or http on this machine (RFC 7662 §4); insecure: or http anywhere.
func secureURL(text string, insecure bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return errors.New("middleware: the server's URL must be absolute, such as https://auth.example.com")
	}
	if !loopback.Secure(u) && !(insecure && u.Scheme == "http") {
		return errors.New("middleware: the server's URL must begin with https:// off loopback (RFC 7662 §4); " +
			"inside a cluster see AllowInsecureHTTP")
	}
	return nil
}

// Verify implements Verifier. An API key that is allowed from some networks alone needs the address
// that a Guard, or WithClientAddress, says.
func (v *Introspection) Verify(ctx context.Context, token string) (*Token, error) {
	t, err := v.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if t, err = FromHolder(ctx, t); err != nil {
		return nil, err
	}
	return FromAllowedNetwork(ctx, t)
}

func (v *Introspection) verify(ctx context.Context, token string) (*Token, error) {
	switch {
	case v.live != nil:
		return v.verifyLive(ctx, token)
	case v.cache == nil:
		return v.ask(ctx, token)
	}
	key := v.cache.key(v.cfg.Issuer+v.cfg.URL, v.cfg.ClientID, token)
	if t := v.cache.get(key, time.Now()); t != nil {
		return t, nil
	}
	return v.cache.flights.do(ctx, key, func() (*Token, error) {
		t, err := v.ask(ctx, token)
		if err == nil {
			v.cache.put(key, t, time.Now())
		}
		return t, err
	})
}

// ask sends one question. Whatever is not a clear answer is an error, never a "no".
func (v *Introspection) ask(ctx context.Context, token string) (*Token, error) {
	a, _, err := v.question(ctx, questionAbout(token))
	if err != nil {
		return nil, err
	}
	return a.token()
}

// questionAbout is the form of a question. allowed_networks says that this verifier holds the
// member of that name against the request.
func questionAbout(token string) url.Values {
	return url.Values{"token": {token}, "token_type_hint": {"access_token"}, "allowed_networks": {"true"}}
}

// question sends a form and returns the answer about an active token, with its headers.
func (v *Introspection) question(ctx context.Context, form url.Values) (*answer, http.Header, error) {
	endpoint, err := v.discover(ctx)
	if err != nil {
		return nil, nil, err
	}
	sent := strings.NewReader(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, sent) // #nosec G704 -- the issuer's
	if err != nil {
		return nil, nil, fmt.Errorf("introspection: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(v.cfg.ClientID), url.QueryEscape(v.cfg.ClientSecret)) // RFC 6749 §2.3.1
	var a answer
	header, text, err := getJSONText(v.client, req, maxAnswer, &a)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("introspection: %w", err)
	case a.Active == nil:
		return nil, nil, errors.New("introspection: the answer has no active member")
	case !*a.Active || !a.isAccessToken():
		return nil, nil, ErrInvalidToken
	case v.cfg.Issuer != "" && a.Iss != "" && a.Iss != v.cfg.Issuer:
		return nil, nil, fmt.Errorf("introspection: the answer names another issuer: %w", ErrInvalidToken)
	}
	a.claims = claims.Values(jsonobject.OthersIn(text, claims.IsReserved))
	return &a, header, nil
}

// discover returns the endpoint, asking the issuer's metadata once (RFC 8414 §3).
func (v *Introspection) discover(ctx context.Context) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.endpoint != "" {
		return v.endpoint, nil
	}
	m, err := discover(ctx, v.client, v.cfg.Issuer)
	if err != nil {
		return "", err
	}
	if err := discovered("introspection_endpoint", m.Introspection, v.cfg.Issuer, v.cfg.AllowInsecureHTTP); err != nil {
		return "", err
	}
	v.endpoint = m.Introspection
	return v.endpoint, nil
}
