package gate

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/middleware"
)

// Identity makes Grantor-Identity: a JWT (RFC 7519) that says to the API behind the proxy who asks,
// so that the API need trust neither the proxy nor the network. One text serves all requests that
// say the same: it is signed once and used for half of its life.
type Identity struct {
	issuer string
	signer jose.Signer
	jwks   []byte
	now    func() time.Time

	mu     sync.Mutex
	signed map[[sha256.Size]byte]signedIdentity
}

type signedIdentity struct {
	text  string
	until time.Time // then it is signed anew
}

const (
	identityLife = 60 * time.Second
	identityUse  = identityLife / 2 // so an API has half of the life at least
	identityType = "grantor-identity+jwt"
	maxSigned    = 10_000
)

// NewIdentity signs as issuer, the gate's own URL, with the first of the keys. All of them are
// published, so that a new key can be known before it signs, and an old one after it did.
func NewIdentity(issuer string, keys []Key) (*Identity, error) {
	if issuer == "" || len(keys) == 0 {
		return nil, errors.New("gate: identity tokens need an issuer and a key")
	}
	first := jose.JSONWebKey{Key: keys[0].private, KeyID: keys[0].id}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: keys[0].algorithm, Key: first},
		(&jose.SignerOptions{}).WithType(identityType))
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"})
	}
	i := &Identity{issuer: issuer, signer: signer, now: time.Now, signed: map[[sha256.Size]byte]signedIdentity{}}
	i.jwks, err = json.Marshal(set)
	return i, err
}

// serveJWKS answers with the public keys (RFC 7517 §5).
func (i *Identity) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=60")
	_, _ = w.Write(i.jwks)
}

// of returns the identity token of a request whose token is t, for an audience, with the claims
// that chosenClaims returned.
func (i *Identity) of(t *middleware.Token, audience, chosen string) (string, error) {
	says := claims.Trusted(chosen).AppendMembers(i.claims(t, audience))
	now, key := i.now(), sha256.Sum256(says)
	i.mu.Lock()
	held, ok := i.signed[key]
	i.mu.Unlock()
	if ok && now.Before(held.until) {
		return held.text, nil
	}
	end := now.Add(identityLife)
	if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(end) {
		end = t.ExpiresAt
	}
	payload := jsonobject.Object(says).Number("iat", now.Unix()).Number("exp", end.Unix()).Close()
	signature, err := i.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	text, err := signature.CompactSerialize()
	if err != nil {
		return "", err
	}
	i.keep(key, signedIdentity{text, now.Add(identityUse)}, now)
	return text, nil
}

// claims are those that do not change from one second to the next. token_exp keeps apart what ends
// at different times.
func (i *Identity) claims(t *middleware.Token, audience string) jsonobject.Object {
	o := make(jsonobject.Object, 0, 512).Text("iss", i.issuer).Text("aud", audience).
		Text("sub", t.Subject).TextOr("sub_type", t.SubjectType).
		TextOr("client_id", t.ClientID).TextOr("scope", t.Scope.String()).TextOr("sid", session(t))
	if !t.ExpiresAt.IsZero() {
		o = o.Number("token_exp", t.ExpiresAt.Unix())
	}
	return o
}

// keep remembers what was signed. When there is no place, what ended goes first, then anything.
func (i *Identity) keep(key [sha256.Size]byte, s signedIdentity, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.signed) >= maxSigned {
		for k, held := range i.signed {
			if !now.Before(held.until) || len(i.signed) > maxSigned*7/8 {
				delete(i.signed, k)
			}
		}
	}
	i.signed[key] = s
}
