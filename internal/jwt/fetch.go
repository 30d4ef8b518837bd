package jwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// set fetches a key set and says how long it is fresh.
func (f *Fetcher) set(ctx context.Context, jwksURI string) (*KeySet, time.Duration, error) {
	body, header, err := f.get(ctx, jwksURI)
	if err != nil {
		return nil, 0, err
	}
	s, err := parsePublished(body, signatures)
	return s, freshness(header.Get("Cache-Control")), err
}

// bundle fetches the keys for JWT-SVIDs of a trust domain. Its spiffe_refresh_hint, in seconds,
// says how long they are fresh (SPIFFE Trust Domain and Bundle §4.1); spiffe_sequence is not needed
// by whoever takes the whole set each time.
func (f *Fetcher) bundle(ctx context.Context, bundleURI string) (*KeySet, time.Duration, error) {
	body, header, err := f.get(ctx, bundleURI)
	if err != nil {
		return nil, 0, err
	}
	s, err := parsePublished(body, svids)
	if err != nil {
		return nil, 0, err
	}
	var b struct {
		RefreshHint *float64 `json:"spiffe_refresh_hint"`
	}
	if json.Unmarshal(body, &b) != nil || b.RefreshHint == nil {
		return s, freshness(header.Get("Cache-Control")), nil
	}
	return s, bounded(*b.RefreshHint), nil
}

// discover asks an issuer's metadata for jwks_uri: RFC 8414 §3.1 puts the well-known name before
// the path, OpenID Connect Discovery 1.0 §4 behind it.
func (f *Fetcher) discover(ctx context.Context, issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", err
	}
	path := strings.TrimSuffix(u.Path, "/")
	var errs []error
	for _, p := range []string{"/.well-known/oauth-authorization-server" + path, path + "/.well-known/openid-configuration"} {
		at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: p}
		jwksURI, err := f.metadata(ctx, at.String(), issuer)
		if err == nil {
			return jwksURI, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("discovery: %w", errors.Join(errs...))
}

func (f *Fetcher) metadata(ctx context.Context, where, issuer string) (string, error) {
	body, _, err := f.get(ctx, where)
	if err != nil {
		return "", err
	}
	var m struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "", fmt.Errorf("the metadata cannot be read: %w", err)
	}
	if m.Issuer != issuer {
		return "", fmt.Errorf("the metadata names the issuer %q, not %q (RFC 8414 §3.3)", m.Issuer, issuer)
	}
	return m.JWKSURI, f.Check(m.JWKSURI)
}

// get reads a 200 of bounded size; no redirect is followed, not even to a public address.
func (f *Fetcher) get(ctx context.Context, where string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if err := f.authorize(req); err != nil {
		return nil, nil, err
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil, f.notOK(req, res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes+1)) // one byte more than ParseKeySet takes
	return body, res.Header, err
}

// authorize adds the bearer token where the operator named the origin. Metadata names whatever
// its author likes.
func (f *Fetcher) authorize(req *http.Request) error {
	if f.opts.Bearer == nil || !f.named(req.URL) {
		return nil
	}
	token, err := f.opts.Bearer()
	if err == nil {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// named says whether a URL is of an origin that gets the token (RFC 6454 §4).
func (f *Fetcher) named(u *url.URL) bool {
	return slices.ContainsFunc(f.opts.BearerTo, func(text string) bool {
		to, err := url.Parse(text)
		return err == nil && origin(to) == origin(u)
	})
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + "/" + port
}

// notOK says what an answer was, and what to do where the token was held back.
func (f *Fetcher) notOK(req *http.Request, res *http.Response) error {
	if f.opts.Bearer == nil || req.Header.Get("Authorization") != "" {
		return fmt.Errorf("%s answers %s", req.URL, res.Status)
	}
	return fmt.Errorf("%s answers %s; the token of token_file was not sent there, because only metadata names this origin: "+
		"if it is right, set jwks_uri to it", req.URL, res.Status)
}
