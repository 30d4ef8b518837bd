package jwt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/internal/loopback"
)

// Options say how key sets are fetched.
type Options struct {
	// AllowPrivate lets loopback, private and reserved addresses be asked, and http on loopback.
	// It is right for sources that the operator names and wrong for URLs that clients register
	// (RFC 7591 §5).
	AllowPrivate bool
	AllowHTTP    bool                   // http off loopback as well: an attacker on the network can then replace the keys
	Keep         time.Duration          // how long a set is used while its source fails, from the last good fetch; 0: 1 hour
	Timeout      time.Duration          // of one fetch, discovery included; 0: 3 seconds
	RootCAs      *x509.CertPool         // nil: the system's
	Bearer       func() (string, error) // a token that is sent along, read anew for each fetch; nil: none
	BearerTo     []string               // URLs whose origins (RFC 6454) get that token, and no others, whatever metadata names
	MaxWaiting   int                    // how many may wait for one source that is being fetched, and twice as many for all; 0: all may
	Log          *slog.Logger           // gets one line of published keys that cannot be used; nil: slog.Default()
	// PassedOver counts the keys of such a line: those for another use or of an unknown kind, and
	// those that are unusable, such as weak ones; nil: nobody counts.
	PassedOver func(others, unusable int)
	Transport  http.RoundTripper // instead of our own; then which addresses are dialled is its matter
}

// maxSources bounds the sources; above it, sources unused for an hour are dropped.
const maxSources = 10_000

// Fetcher fetches key sets and keeps them. The same URL is the same Remote, so that its limits
// hold for all who ask.
type Fetcher struct {
	opts   Options
	client *http.Client
	refuse []netip.Prefix
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	waiting atomic.Int64 // who waits for a fetch

	running sync.Mutex // orders wg.Go before wg.Wait
	wg      sync.WaitGroup

	mu      sync.Mutex
	sources map[string]*Remote
}

// NewFetcher returns a Fetcher. Close ends it.
func NewFetcher(opts Options) *Fetcher {
	if opts.Timeout == 0 {
		opts.Timeout = 3 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Keep == 0 {
		opts.Keep = time.Hour
	}
	if opts.Transport == nil {
		opts.Transport = transport(opts)
	}
	f := &Fetcher{opts: opts, refuse: reserved(), sources: map[string]*Remote{}}
	f.client = &http.Client{Transport: opts.Transport, Timeout: opts.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// transport keeps no connections: minutes pass between two fetches. A URL that a client registered
// never goes through the environment's proxy, which could connect to any address.
func transport(opts Options) *http.Transport {
	d := &net.Dialer{Timeout: opts.Timeout}
	t := &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: opts.Timeout,
		MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12}}
	if opts.AllowPrivate {
		t.Proxy = http.ProxyFromEnvironment
	} else {
		d.Control = dialControl()
	}
	return t
}

// Close ends fetches that are under way and waits for them.
func (f *Fetcher) Close() {
	f.running.Lock()
	f.cancel()
	f.running.Unlock()
	f.wg.Wait()
}

// run starts a fetch that Close waits for; after Close none.
func (f *Fetcher) run(fetch func()) bool {
	f.running.Lock()
	defer f.running.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.wg.Go(fetch)
	return true
}

// Check says whether keys may be fetched from a URL, as far as its text tells. Who registers a
// URL hears it at once; what its name resolves to is looked at when it is dialled.
func (f *Fetcher) Check(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 2048 {
		return errors.New("the URL of keys must be absolute, such as https://client.example.com/jwks.json, without user and fragment")
	}
	switch {
	case u.Scheme == "http" && f.opts.AllowHTTP:
		return nil
	case u.Scheme != "https" && !(f.opts.AllowPrivate && loopback.Secure(u)):
		return errors.New("the URL of keys must begin with https://")
	case f.opts.AllowPrivate:
		return nil
	case loopback.Host(u.Hostname()):
		return checkAddress(netip.IPv6Loopback(), f.refuse)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		return checkAddress(addr, f.refuse)
	}
	return nil
}

// Remote returns the source of the key set at a URL.
func (f *Fetcher) Remote(jwksURI string) (*Remote, error) {
	return f.source(jwksURI, "", func(ctx context.Context) (*KeySet, time.Duration, error) { return f.set(ctx, jwksURI) })
}

// Bundle returns the source of the keys for JWT-SVIDs in the SPIFFE bundle at a URL, which is that
// of one trust domain (SPIFFE Trust Domain and Bundle §4; SPIFFE Federation §5.2.1: https_web).
func (f *Fetcher) Bundle(bundleURI string) (*Remote, error) {
	return f.source(bundleURI, "bundle ", func(ctx context.Context) (*KeySet, time.Duration, error) { return f.bundle(ctx, bundleURI) })
}

// Issuer returns the source of the keys of an authorization server, whose metadata names the URL
// (RFC 8414 §2, OpenID Connect Discovery 1.0 §4). The metadata is read again with each fetch.
func (f *Fetcher) Issuer(issuer string) (*Remote, error) {
	return f.source(issuer, "issuer ", func(ctx context.Context) (*KeySet, time.Duration, error) {
		jwksURI, err := f.discover(ctx, issuer)
		if err != nil {
			return nil, 0, err
		}
		return f.set(ctx, jwksURI)
	})
}

func (f *Fetcher) source(where, kind string, fetch fetchFunc) (*Remote, error) {
	if err := f.Check(where); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.sources[kind+where]; r != nil {
		return r, nil
	}
	if len(f.sources) >= maxSources {
		f.forget()
	}
	r := &Remote{fetcher: f, fetch: fetch, where: where}
	f.sources[kind+where] = r
	return r, nil
}

// forget drops sources that have not been used for an hour. The lock must be held.
func (f *Fetcher) forget() {
	for where, r := range f.sources {
		if r.idle(time.Hour) {
			delete(f.sources, where)
		}
	}
}
