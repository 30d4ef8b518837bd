package grantortest

import (
	"maps"
	"net/http"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
)

// Key is a client's key, to which tokens are bound by DPoP (RFC 9449). Set it in Want. Its proofs
// have the server's time.
type Key struct {
	server *Server
	inner  *dpoptest.Key
}

// Key draws a key: P-256, for ES256.
func (s *Server) Key() *Key {
	s.t.Helper()
	return &Key{s, dpoptest.New(s.t)}
}

// Thumbprint is the key's name in cnf.jkt of its tokens (RFC 9449 §6).
func (k *Key) Thumbprint() string { return k.inner.JKT() }

// Proof returns the header DPoP of one request (RFC 9449 §4.2). The token is the access token of
// the request; "": none, as at the token endpoint. Claims replace those of a good proof, such as
// iat, or add more, such as nonce; nil leaves a claim out.
func (k *Key) Proof(method, url, token string, claims ...map[string]any) string {
	k.server.t.Helper()
	all := dpoptest.Change{"iat": k.server.Now().Unix()}
	if token != "" {
		maps.Copy(all, dpoptest.With(token))
	}
	changes := []dpoptest.Change{all}
	for _, c := range claims {
		changes = append(changes, c)
	}
	return k.inner.Proof(method, url, changes...)
}

// Authorize puts an access token and its proof into a request: the headers Authorization and DPoP.
// The request must have the URL that clients of the API write, with scheme and host. A proof is
// good once: send the request once.
func (k *Key) Authorize(r *http.Request, token string, claims ...map[string]any) {
	k.server.t.Helper()
	if !r.URL.IsAbs() {
		k.server.t.Fatalf("grantortest: Authorize needs the API's public URL, such as https://orders.example.com%s: the request has only a path", r.URL.Path)
	}
	url := *r.URL
	url.RawQuery, url.Fragment, url.RawFragment, url.ForceQuery = "", "", "", false
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", k.Proof(r.Method, url.String(), token, claims...))
}

// forToken is the proof of a request at the token endpoint.
func (k *Key) forToken(nonce string) string {
	k.server.t.Helper()
	url := k.server.Issuer + "/oauth2/token"
	if nonce == "" {
		return k.Proof(http.MethodPost, url, "")
	}
	return k.Proof(http.MethodPost, url, "", map[string]any{"nonce": nonce})
}
