package keys

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// published is a JWKS that is right for a while.
type published struct {
	revision    string
	from, until time.Time // until zero: no end
	body        []byte
	etag        string
}

// JWKS returns the JSON Web Key Set (RFC 7517 §5) and its entity tag with quotes: the public halves
// of all keys that have signed or will sign a token that has not expired. The caller must not
// change body.
//
// Verifiers may keep it for Config.PublishAhead. While Ready returns an error they should not keep
// it.
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
	p.body, _ = json.Marshal(set) // cannot fail: the keys had a thumbprint
	sum := sha256.Sum256(p.body)
	p.etag = `"` + b64.EncodeToString(sum[:12]) + `"`
	return p
}
