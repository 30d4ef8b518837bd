package keys

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Verify returns the claims of a token that a key of ours has signed, and says nothing about what they claim. The token is
// of one of the types, is spelled as Sign spells it, and its key is published now, so nothing that was made by a key past its end
// is accepted. Everything else is ErrNotOurs, except where the store could not say: ErrUnconfirmed.
//
// Members of a header that Sign does not write (crit, jwk, jku, x5u) are not even read: such a token is not ours.
func (r *Ring) Verify(token string, types ...string) (claims []byte, err error) {
	header, ok := readHeader(token)
	if !ok || !slices.Contains(types, header.typ) {
		return nil, ErrNotOurs
	}
	k, err := r.find(header)
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.Algorithm)})
	if err != nil {
		return nil, ErrNotOurs // its words may quote the token
	}
	claims, err = jws.Verify(k.Private.Public())
	if err != nil {
		return nil, ErrNotOurs
	}
	return claims, nil
}

// header is what there is of a token's header.
type header struct{ alg, typ, kid string }

var strict = base64.RawURLEncoding.Strict()

// maxHeader is longer than every header that Sign writes, encoded.
const maxHeader = 512

// readHeader reads a token's header, and refuses a token that cannot be ours.
func readHeader(token string) (h header, ok bool) {
	if len(token) > MaxBytes || strings.Count(token, ".") != 2 { // counted, not split (CVE-2025-27144)
		return h, false
	}
	first, rest, _ := strings.Cut(token, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	if len(first) > maxHeader || !spelled(first) || !spelled(claims) || !spelled(signature) {
		return h, false
	}
	text, err := b64.DecodeString(first)
	if err != nil {
		return h, false
	}
	return parseHeader(string(text))
}

// parseHeader is the inverse of headerText.
func parseHeader(text string) (h header, ok bool) {
	rest, begins := strings.CutPrefix(text, `{"alg":"`)
	alg, rest, typ := strings.Cut(rest, `","typ":"`)
	h.alg = alg
	h.typ, rest, ok = strings.Cut(rest, `","kid":"`)
	kid, ends := strings.CutSuffix(rest, `"}`)
	h.kid = kid
	return h, begins && typ && ok && ends
}

// spelled says whether a part is spelled in the only way (RFC 7515 §2), as far as decoders are lax: some pass over line ends and
// padding, or over bits of the last letter that mean nothing.
func spelled(part string) bool {
	if part == "" || strings.ContainsAny(part, "\r\n=") {
		return false
	}
	_, err := strict.DecodeString(part[len(part)&^3:])
	return err == nil
}

// find returns the key of a header. A key that is not known may be a new one, of which this node has not
// heard yet.
func (r *Ring) find(h header) (*signer, error) {
	v, err := r.confirmed()
	if err != nil {
		return nil, err
	}
	if k := v.byID[h.kid]; k != nil {
		return r.accept(v, k, h)
	}
	if len(h.kid) != idLength || !slices.Contains(Algorithms(), Algorithm(h.alg)) {
		return nil, ErrNotOurs
	}
	if err := r.look(); err != nil {
		return nil, unconfirmed(err)
	}
	v = r.view.Load()
	if k := v.byID[h.kid]; k != nil {
		return r.accept(v, k, h)
	}
	return nil, ErrNotOurs
}

// accept demands that the key is published now, and that the token names its only algorithm (RFC 8725 §3.1).
func (r *Ring) accept(v *view, k *signer, h header) (*signer, error) {
	if k.gone(r.now(v)) || h.alg != string(k.Algorithm) {
		return nil, ErrNotOurs
	}
	return k, nil
}
