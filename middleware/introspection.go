package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/scopes"
)

// IntrospectionConfig is what an Introspection is made of.
type IntrospectionConfig struct {
	Issuer       string        // the authorization server; its metadata names the endpoint (RFC 8414)
	URL          string        // the introspection endpoint itself, instead of Issuer
	ClientID     string        // this resource server
	ClientSecret string        //
	Timeout      time.Duration // of one question; 0: 3 seconds
	CacheTTL     time.Duration // how long an answer may be reused: so long may a revocation go unseen; 0: no cache
	CacheSize    int           // entries; 0: 10,000

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
	case cfg.CacheTTL < 0 || cfg.CacheSize < 0 || cfg.Timeout < 0:
		return nil, errors.New("middleware: Timeout, CacheTTL and CacheSize must not be negative")
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
	v := &Introspection{cfg: cfg, endpoint: cfg.URL, client: &http.Client{Transport: cfg.Transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if cfg.CacheTTL > 0 {
		v.cache = newCache(cfg.CacheTTL, cfg.CacheSize)
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
		return errors.New("middleware: the server's URL must begin with https:// off loopback (RFC 7662 §4); inside a cluster see AllowInsecureHTTP")
	}
	return nil
}

// Verify implements Verifier.
func (v *Introspection) Verify(ctx context.Context, token string) (*Token, error) {
	if v.cache == nil {
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

// answer is what RFC 7662 §2.2 lets a server say. Active is a pointer: an answer without it is
// none.
type answer struct {
	Active    *bool    `json:"active"`
	Scope     string   `json:"scope"`
	ClientID  string   `json:"client_id"`
	Username  string   `json:"username"`
	TokenType string   `json:"token_type"`
	Exp       float64  `json:"exp"`
	Iat       float64  `json:"iat"`
	Nbf       float64  `json:"nbf"`
	Sub       string   `json:"sub"`
	SubType   string   `json:"sub_type"`
	Aud       audience `json:"aud"`
	Iss       string   `json:"iss"`
	JTI       string   `json:"jti"`
}

// audience is one text or a list (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// ask sends one question. Whatever is not a clear answer is an error, never a "no".
func (v *Introspection) ask(ctx context.Context, token string) (*Token, error) {
	endpoint, err := v.discover(ctx)
	if err != nil {
		return nil, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode())) // #nosec G704 -- the issuer's
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(v.cfg.ClientID), url.QueryEscape(v.cfg.ClientSecret)) // RFC 6749 §2.3.1
	var a answer
	if err := v.getJSON(req, &a); err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	if a.Active == nil {
		return nil, errors.New("introspection: the answer has no active member")
	}
	if !*a.Active || !strings.EqualFold(a.TokenType, "Bearer") && a.TokenType != "" {
		return nil, ErrInvalidToken
	}
	if v.cfg.Issuer != "" && a.Iss != "" && a.Iss != v.cfg.Issuer {
		return nil, fmt.Errorf("introspection: the answer names another issuer: %w", ErrInvalidToken)
	}
	return a.token()
}

func (a *answer) token() (*Token, error) {
	set, err := scopes.ParseGranted(a.Scope)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	return &Token{Subject: a.Sub, SubjectType: a.SubType, Username: a.Username, ClientID: a.ClientID, Scope: set,
		Audience: a.Aud, Issuer: a.Iss, ID: a.JTI, ExpiresAt: at(a.Exp), IssuedAt: at(a.Iat), NotBefore: at(a.Nbf)}, nil
}

func at(seconds float64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// discover returns the endpoint, asking the issuer's metadata once (RFC 8414 §3).
func (v *Introspection) discover(ctx context.Context) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.endpoint != "" {
		return v.endpoint, nil
	}
	u, err := url.Parse(v.cfg.Issuer)
	if err != nil {
		return "", err
	}
	u.Path = "/.well-known/oauth-authorization-server" + u.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil) // #nosec G704 -- configured
	if err != nil {
		return "", err
	}
	var m struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"introspection_endpoint"`
	}
	if err := v.getJSON(req, &m); err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	if m.Issuer != v.cfg.Issuer {
		return "", fmt.Errorf("discovery: the metadata names the issuer %q, not %q (RFC 8414 §3.3)", m.Issuer, v.cfg.Issuer)
	}
	if err := secureURL(m.Endpoint, v.cfg.AllowInsecureHTTP && u.Scheme == "http"); err != nil { // https is never left again
		return "", fmt.Errorf("discovery: introspection_endpoint: %w", err)
	}
	v.endpoint = m.Endpoint
	return m.Endpoint, nil
}

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 256 << 10

// getJSON sends req and reads a 200 of JSON; anything else is an error that holds no token.
func (v *Introspection) getJSON(req *http.Request, into any) error {
	res, err := v.client.Do(req) // #nosec G704 -- one of the two above
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // to its end, so that the connection is used again
	if err != nil {
		return err
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return errors.New("the server refuses this resource server's own credentials (401)")
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answers %s", res.Status)
	case media != "application/json":
		return fmt.Errorf("the server answers %q, not application/json", media)
	}
	return json.Unmarshal(body, into)
}
