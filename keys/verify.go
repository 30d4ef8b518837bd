package keys

import (
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantor-auth/grantor/internal/jws"
)

// Verify returns the claims of a token that a key of ours has signed, and does not check the
// claims. The token has one of the types, is spelled as Sign spells it, and its key is published
// now. Everything else is ErrNotOurs, or ErrUnconfirmed where the store did not answer.
//
// Members of a header that Sign does not write (crit, jwk, jku, x5u) are not read: such a token is
// not ours.
func (r *Ring) Verify(token string, types ...string) (claims []byte, err error) {
	k, err := r.keyOf(token, types)
	if err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.Algorithm)})
	if err != nil {
		return nil, ErrNotOurs // the error may quote the token
	}
	claims, err = signed.Verify(k.Private.Public())
	if err != nil {
		return nil, ErrNotOurs
	}
	return claims, nil
}

// Claims returns what Verify returns, without looking at the signature. The caller must know the
// whole text otherwise, such as by a digest from the time when the token was made.
func (r *Ring) Claims(token string, types ...string) (claims []byte, err error) {
	if _, err := r.keyOf(token, types); err != nil {
		return nil, err
	}
	payload := token[strings.IndexByte(token, '.')+1 : strings.LastIndexByte(token, '.')]
	if claims, err = jws.Decode(payload); err != nil {
		return nil, ErrNotOurs
	}
	return claims, nil
}

// keyOf returns the key that a token names.
func (r *Ring) keyOf(token string, types []string) (*signer, error) {
	header, ok := readHeader(token, types)
	if !ok {
		return nil, ErrNotOurs
	}
	return r.find(header)
}

// maxHeader is longer than any encoded header of Sign.
const maxHeader = 512

// readHeader reads a token's header, and refuses every token that Sign does not write with one of
// the types.
func readHeader(token string, types []string) (h jws.Header, ok bool) {
	if len(token) > MaxBytes || strings.IndexByte(token, '.') > maxHeader {
		return h, false
	}
	t, err := jws.Parse(token)
	if err != nil || !jws.Canonical(t.Payload) || !jws.Canonical(t.Signature) {
		return h, false
	}
	for _, typ := range types {
		var text, encoded [maxHeader]byte
		want := b64.AppendEncode(encoded[:0], appendHeader(text[:0], t.Header.Algorithm, typ, t.Header.KeyID))
		if string(want) == t.Protected {
			return t.Header, true
		}
	}
	return t.Header, false
}

// find returns the key of a header. An unknown key may be a new one that this node has not read
// yet.
func (r *Ring) find(h jws.Header) (*signer, error) {
	v, err := r.confirmed()
	if err != nil {
		return nil, err
	}
	if k := v.byID[h.KeyID]; k != nil {
		return r.accept(v, k, h)
	}
	if len(h.KeyID) != idLength || !slices.Contains(Algorithms(), Algorithm(h.Algorithm)) {
		return nil, ErrNotOurs
	}
	if err := r.look(); err != nil {
		return nil, unconfirmed(err)
	}
	v = r.view.Load()
	if k := v.byID[h.KeyID]; k != nil {
		return r.accept(v, k, h)
	}
	return nil, ErrNotOurs
}

// accept checks that the key is published now, and that the token names its one algorithm (RFC 8725
// §3.1).
func (r *Ring) accept(v *view, k *signer, h jws.Header) (*signer, error) {
	if k.gone(r.now(v)) || h.Algorithm != string(k.Algorithm) {
		return nil, ErrNotOurs
	}
	return k, nil
}
