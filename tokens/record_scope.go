package tokens

import (
	"encoding/base64"
	"strings"
)

// Older versions refuse a record with more bytes than they know, but leave out scopes that no
// catalogue has; none can have these. Each begins a scope token that holds something else: custom
// claims, and behind them the digest of a JWT.
const (
	claimsScope = " grantor:claims:"
	digestScope = " grantor:jwt:"
)

// Bounds of a scope that older versions can read.
const (
	maxScopeTokens = 100
	maxScopeBytes  = 4096
)

const digestDigits = len(JWTDigest{}) / blockBytes * blockDigits

// appendScope writes the scope, and behind it the claims and the digest where there are any.
func appendScope(dst []byte, r *Record) []byte {
	text := r.Scope
	if r.Claims != "" {
		text += claimsScope + base64.RawURLEncoding.EncodeToString([]byte(r.Claims))
	}
	if r.JWTDigest == (JWTDigest{}) || !mayHoldDigest(text) {
		return appendText(dst, text)
	}
	return appendText(dst, text+digestScope+string(appendBase62(nil, r.JWTDigest[:])))
}

// mayHoldDigest says whether older versions read a scope with a digest behind it as the scope
// alone. They would read an empty scope with a digest as a scope of which nothing is left:
// inactive.
//
// Claims are written in any case. Where the whole is longer than older versions read, they answer
// 503 about the token, and never inactive.
func mayHoldDigest(scope string) bool {
	return scope != "" && len(scope)+len(digestScope)+digestDigits <= maxScopeBytes && strings.Count(scope, " ")+2 <= maxScopeTokens
}

// scope reads what appendScope wrote.
func (d *recordReader) scope() (scope, claims string, digest JWTDigest) {
	scope = d.text()
	if at := strings.LastIndex(scope, digestScope); at >= 0 && mayHoldDigest(scope[:at]) &&
		decodeBase62(digest[:], scope[at+len(digestScope):]) {
		scope = scope[:at]
	} else {
		digest = JWTDigest{}
	}
	at := strings.LastIndex(scope, claimsScope)
	if at < 0 {
		return scope, "", digest
	}
	text, err := base64.RawURLEncoding.DecodeString(scope[at+len(claimsScope):])
	if err != nil || len(text) == 0 {
		d.failed = true // a token never loses its claims unseen
		return "", "", JWTDigest{}
	}
	return scope[:at], string(text), digest
}
