// Package jwt verifies signed tokens (compact JWS, RFC 7515 §7.1) by the public keys of those who
// may have signed them (JWK Sets, RFC 7517 §5).
//
//	profile := jwt.Profile{Algorithms: []string{"ES256"}, Types: []string{"at+jwt"}}
//	u, err := jwt.Parse(token, profile)
//	claims, err := u.Verify(ctx, source)
//	err = claims.CheckTimes(time.Now(), time.Minute)
//
// Parse refuses by form alone, before any cryptography: length, parts, encoding, alg, typ, crit.
// Its result is not trusted yet; only Verify returns claims. A Source is a KeySet that
// was written down (ParseKeySet) or one that is fetched and kept fresh (Fetcher). Keys come from
// there alone: jwk, jku, x5c and x5u of a token are never heeded (RFC 8725 §3.10), and there is
// no symmetric key, so none can be confused with a public one (RFC 8725 §2.1). The exception is a
// proof of possession (Profile.OwnKey), whose jwk is what it proves.
//
// The package links the standard library and go-jose. It knows nothing of clients, scopes or
// where a token came from.
package jwt

import "context"

// Source is where keys come from. Keys returns the set in which kid is to be looked up; "" asks
// for any. It returns an error when it cannot know, which is never a "no". It may be called by
// any number of goroutines.
type Source interface {
	Keys(ctx context.Context, kid string) (*KeySet, error)
}

// TokenError is why a token is not good. Each is a sentence that holds nothing of the token.
// Whatever is not a TokenError means that it could not be known whether the token is good.
type TokenError string

// Error implements error.
func (r TokenError) Error() string { return string(r) }

// The refusals.
const (
	TooLong      TokenError = "the token is too long"
	Malformed    TokenError = "the token is not a JWT in compact serialization (RFC 7515 §7.1, RFC 7519 §3)"
	BadAlgorithm TokenError = "the algorithm of the token is not allowed here (RFC 8725 §3.1)"
	BadType      TokenError = "the type of the token is not the one that is wanted here (RFC 8725 §3.11)"
	Critical     TokenError = "the token demands an extension that is not supported (RFC 7515 §4.1.11)"
	NoOwnKey     TokenError = "the header has no jwk that is a public key: EC P-256, P-384 or P-521, Ed25519, or RSA (RFC 7517 §4)"
	WeakOwnKey   TokenError = "the RSA key in jwk must have 2048 to 4096 bits (RFC 7518 §3.3)"
	PrivateKey   TokenError = "jwk holds a private key: send its public members alone, and replace the key"
	NoKey        TokenError = "no known key fits the token's kid and alg"
	BadSignature TokenError = "the signature is wrong"
	BadIssuer    TokenError = "the token is of another issuer"
	BadAudience  TokenError = "the token is meant for another audience"
	NoExpiry     TokenError = "the token has no exp"
	Expired      TokenError = "the token has expired"
	NotYet       TokenError = "the token is of the future (nbf, iat)"
)
