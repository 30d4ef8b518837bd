package middleware

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/grantor-auth/grantor/internal/dpop"
)

// DPoP says how a Guard checks that the sender of a bound token has its key (RFC 9449). The zero
// value takes such tokens where Config.Audience is the URL of the API, and refuses them elsewhere:
// no token that is bound ever passes without its proof.
type DPoP struct {
	// URL is the API as its clients write it, such as https://orders.example.com: behind a proxy
	// the public URL. Proofs must name it, with the path of the request; a path in URL stands
	// before that. "": scheme and host of Config.Audience, if that is an http or https URL. The
	// Host header is never believed: whoever steals a proof for another API can write its name there.
	URL string
	// Request returns the method and the whole public URL of a request in another way, as for an API
	// with several hosts. An empty URL is not known, and no proof is good for it. nil: by URL.
	Request func(*http.Request) (method, url string)

	// Required refuses tokens that are bound to no key, API keys among them.
	Required bool

	// Window is how far iat of a proof may be from this clock, before and after. 0: a minute.
	Window time.Duration

	// NonceKey is a secret of at least 32 bytes that all instances of the API share. With it, each
	// proof needs a recent nonce from the header DPoP-Nonce (RFC 9449 §9): proofs cannot be made
	// ahead, and clients' clocks do not matter. nil: none is needed.
	NonceKey []byte
	// NonceLifetime is how long a nonce is good at least; after twice that it is not. 0: 2 minutes.
	NonceLifetime time.Duration

	// Used remembers proofs for all instances of the API together. nil: each process remembers its
	// own, so that a stolen proof is good once at each.
	Used UsedProofs
	// MaxUsed is how many proofs a process remembers, without Used. While there are more, proofs
	// that may be among the forgotten are refused. 0: 1,000,000, which take about 20 MB.
	MaxUsed int
}

// UsedProofs remembers which proofs were used (RFC 9449 §11.1). Once returns nil for a key that it
// has not seen within its ttl, and ErrProofUsed for one that it has: of callers at the same time
// one alone gets nil. Any other error means that this is not known, and the answer is 503. In Redis
// it is SET key 1 NX PX ttl. Keys are 43 characters of base64url.
type UsedProofs interface {
	Once(ctx context.Context, key string, ttl time.Duration) error
}

// ErrProofUsed is what UsedProofs returns for a proof that was used before.
var ErrProofUsed = errors.New("the DPoP proof was used before")

// proofs is a DPoP that was checked.
type proofs struct {
	checker dpop.Checker
	nonces  *dpop.Nonces                             // nil: none
	request func(*http.Request) (method, url string) // the URL as dpop.NormalURL has it
	used    UsedProofs
}

// newProofs returns nil where nothing says the URL of the API.
func newProofs(cfg *Config) (*proofs, error) {
	d := &cfg.DPoP
	p := &proofs{checker: dpop.Checker{Window: d.Window, Now: cfg.Now}, used: d.Used, request: d.Request}
	if d.Window < 0 || d.Window > 10*time.Minute || d.MaxUsed < 0 || d.NonceLifetime < 0 {
		return nil, errors.New("middleware: DPoP.Window is at most 10 minutes, and no number in DPoP is negative")
	}
	if err := p.setURL(cfg); err != nil {
		return nil, err
	}
	if p.request == nil {
		if d.Required || d.NonceKey != nil || d.Used != nil {
			return nil, errors.New("middleware: DPoP.URL is missing: proofs are held against the public URL of the API")
		}
		return nil, nil //nolint:nilnil // see above
	}
	if err := p.setNonces(d); err != nil {
		return nil, err
	}
	if p.used == nil {
		p.used = newUsed(d.MaxUsed, cfg.Now)
	}
	return p, nil
}

// setURL decides what a proof's htu is held against.
func (p *proofs) setURL(cfg *Config) error {
	text := cfg.DPoP.URL
	switch {
	case p.request != nil && text != "":
		return errors.New("middleware: give either DPoP.URL or DPoP.Request")
	case p.request != nil:
		p.request = func(r *http.Request) (method, url string) {
			method, url = cfg.DPoP.Request(r)
			url, _ = dpop.NormalURL(url) // "" names no URL
			return method, url
		}
		return nil
	case text == "":
		u, err := url.Parse(cfg.Audience)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil
		}
		text = u.Scheme + "://" + u.Host
	}
	base, err := dpop.NormalURL(text)
	if err != nil {
		return fmt.Errorf("middleware: DPoP.URL: %w", err)
	}
	for base[len(base)-1] == '/' {
		base = base[:len(base)-1]
	}
	p.request = func(r *http.Request) (method, url string) {
		return r.Method, base + dpop.NormalPath(sentPath(r))
	}
	return nil
}

// sentPath is the path as the client sent it, also behind http.StripPrefix.
func sentPath(r *http.Request) string {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return u.EscapedPath()
	}
	return r.URL.EscapedPath()
}

// setNonces prepares nonces. The key is hashed: any secret of enough length will do.
func (p *proofs) setNonces(d *DPoP) (err error) {
	lifetime := d.NonceLifetime
	switch {
	case d.NonceKey == nil && lifetime == 0:
		return nil
	case d.NonceKey == nil:
		return errors.New("middleware: DPoP.NonceLifetime needs DPoP.NonceKey")
	case len(d.NonceKey) < 32:
		return errors.New("middleware: DPoP.NonceKey must have 32 bytes or more")
	case lifetime == 0:
		lifetime = 2 * time.Minute
	}
	if p.nonces, err = dpop.NewNonces(sha256.Sum256(d.NonceKey), lifetime); err != nil {
		return fmt.Errorf("middleware: DPoP.NonceLifetime: %w", err)
	}
	p.checker.Nonces = p.nonces
	return nil
}
