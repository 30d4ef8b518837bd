package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/internal/spiffe"
)

// minEncryptionKey is the shortest encryption_key, in characters.
const minEncryptionKey = 32

// signing checks what JWTs need: formats, keys, and the issuers of workloads.
func (d *decoder) signing() {
	c := d.cfg
	d.choice("tokens.access_token_format", c.Tokens.AccessFormat, clients.FormatOpaque, clients.FormatJWT)
	d.choice("tokens.signing_alg", c.Tokens.SigningAlg, "ES256", "EdDSA", "RS256")
	for i, k := range append([]SecretText{c.Keys.EncryptionKey}, c.Keys.Previous...) {
		if key := "keys.encryption_key"; k != "" && len(k) < minEncryptionKey {
			if i > 0 {
				key = fmt.Sprintf("keys.previous_encryption_keys[%d]", i-1)
			}
			d.bad(key, "must have at least %d random characters, such as the output of \"openssl rand -base64 32\"", minEncryptionKey)
		}
	}
	if c.Keys.RotateEvery != 0 && c.Keys.RotateEvery < time.Hour {
		d.bad("keys.rotate_every", "must be 1h or more, or 0s for never")
	}
	if c.Store == StoreRedis && c.Keys.EncryptionKey == "" {
		if c.Tokens.AccessFormat == clients.FormatJWT {
			d.clash([]string{"tokens.access_token_format", "store"}, `"jwt" needs [keys] encryption_key: it encrypts the signing keys in Redis`)
		}
		for i, cl := range c.Clients {
			if cl.Format == clients.FormatJWT {
				d.bad(fmt.Sprintf("clients[%d].access_token_format", i), `"jwt" needs [keys] encryption_key: it encrypts the signing keys in Redis`)
			}
		}
	}
	d.issuers()
}

func (d *decoder) issuers() {
	var known []string
	for i, t := range d.cfg.Issuers {
		key := fmt.Sprintf("trusted_issuers[%d]", i)
		d.trustedIssuer(key, t)
		if slices.Contains(known, t.Issuer) {
			d.bad(key+".issuer", "is the issuer of an earlier entry as well")
		}
		known = append(known, t.Issuer)
	}
	for i, c := range d.cfg.Clients {
		if c.Workload != nil && !slices.Contains(known, c.Workload.Issuer) {
			d.bad(fmt.Sprintf("clients[%d].assertion", i), "has an issuer that is not in [[trusted_issuers]]")
		}
		if issuer := c.UntrustedIssuer(known); issuer != "" {
			d.bad(fmt.Sprintf("clients[%d].exchange", i), "subject_issuers: %q is not in [[trusted_issuers]]", issuer)
		}
	}
}

// trustedIssuer checks where an issuer is. A trust domain of SPIFFE is a name, and its keys are at
// its bundle endpoint.
func (d *decoder) trustedIssuer(key string, t TrustedIssuer) {
	url := func(field, text string) {
		if !absolute(text) {
			d.bad(key+"."+field, "must be an absolute URL that begins with https://, or with http:// on loopback")
		}
	}
	switch domain := strings.HasPrefix(t.Issuer, spiffe.Scheme); {
	case domain && !spiffe.IsTrustDomain(t.Issuer):
		d.bad(key+".issuer", `must be the trust domain alone, as in "spiffe://example.org"`)
	case domain && t.JWKSURI == "":
		d.bad(key+".jwks_uri", "is missing: a trust domain needs the URL of its bundle endpoint (SPIFFE Federation §5)")
	case strings.Contains(t.Issuer, "|"): // "https://a/b|c" with sub d would be "https://a/b" with sub c|d
		d.bad(key+".issuer", "must not hold |, which is in no URL as it is (RFC 3986 §2) and divides issuer and subject in sub: write %%7C")
	case !domain:
		url("issuer", t.Issuer)
	}
	if t.JWKSURI != "" {
		url("jwks_uri", t.JWKSURI)
	}
}

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && loopback.Secure(u)
}

// SigningAlgorithms returns every alg that JWT access tokens have here, the server's first.
func (c *Config) SigningAlgorithms() []string {
	list := []string{c.Tokens.SigningAlg}
	for _, cl := range c.clients {
		if cl.SigningAlg != "" && !slices.Contains(list, cl.SigningAlg) {
			list = append(list, cl.SigningAlg)
		}
	}
	return list
}

// LongestToken returns the longest life of an access token here.
func (c *Config) LongestToken() time.Duration {
	longest := c.Tokens.AccessTTL
	for _, cl := range c.clients {
		longest = max(longest, time.Duration(cl.AccessTTL))
	}
	return longest
}
