package keys

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// published is a JWKS that holds for a while.
type published struct {
	revision    string
	from, until time.Time // until zero: for good
	body        []byte
	etag        string
}

// JWKS returns the JSON Web Key Set (RFC 7517 §5) and its entity tag, quotes included: the public halves of all keys that have signed or
// will sign a token that may live, each with kid, use and alg. Nobody changes body.
//
// Verifiers may keep it for Config.PublishAhead and no longer; while Ready returns an error they should not keep it at all.
func (r *Ring) JWKS() (body []byte, etag string) {
	v := r.latest()
	now := r.now(v)
	p := r.jwks.Load()
	if p == nil || !p.holds(v, now) {
		p = publish(v, now)
		r.jwks.Store(p)
	}
	return p.body, p.etag
}

func (p *published) holds(v *view, now time.Time) bool {
	return p.revision == v.revision && !now.Before(p.from) && (p.until.IsZero() || now.Before(p.until))
}

func publish(v *view, now time.Time) *published {
	p := &published{revision: v.revision, from: now}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range v.keys {
		if k.gone(now) {
			continue
		}
		set.Keys = append(set.Keys, k.public())
		if !k.Gone.IsZero() && (p.until.IsZero() || k.Gone.Before(p.until)) {
			p.until = k.Gone
		}
	}
	p.body, _ = json.Marshal(set) // of keys that had a thumbprint, so they have a JWK
	sum := sha256.Sum256(p.body)
	p.etag = `"` + b64.EncodeToString(sum[:12]) + `"`
	return p
}
