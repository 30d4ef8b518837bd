package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// MaxBytes is the longest token that Sign makes and Verify reads.
const MaxBytes = 16 << 10

// ErrTooLong: the claims do not fit into a token that verifiers accept.
var ErrTooLong = errors.New("the token is too long")

// signer is a key with its encoded headers.
type signer struct {
	Key
	cache *headerCache
}

// headerCache has the encoded headers of a key, by typ.
type headerCache struct {
	byType atomic.Pointer[map[string]string]
}

// maxTypes bounds a headerCache.
const maxTypes = 16

// Sign returns claims, a JSON object, as a compact JWS (RFC 7515 §7.1) of a type (RFC 8725 §3.11),
// signed by the current key of alg. ErrUnconfirmed is temporary.
func (r *Ring) Sign(alg Algorithm, typ string, claims []byte) (string, error) {
	v, err := r.confirmed()
	if err != nil {
		return "", err
	}
	k := v.current(alg, r.now(v))
	if k == nil {
		return "", fmt.Errorf("there is no key for %q", string(alg))
	}
	header, err := k.header(typ)
	if err != nil {
		return "", err
	}
	return k.sign(header, claims)
}

// header returns the first part of a token.
func (k *signer) header(typ string) (string, error) {
	held := k.cache.byType.Load()
	if held != nil {
		if text, ok := (*held)[typ]; ok {
			return text, nil
		}
	}
	if !plain(typ) {
		return "", errors.New("typ must be a media type, in letters, digits and +-./_")
	}
	text := b64.EncodeToString(appendHeader(nil, string(k.Algorithm), typ, k.ID))
	k.cache.keep(held, typ, text)
	return text, nil
}

// keep adds a header, unless another goroutine adds one now or the cache is full.
func (h *headerCache) keep(held *map[string]string, typ, text string) {
	more := map[string]string{typ: text}
	if held != nil {
		if len(*held) >= maxTypes {
			return
		}
		maps.Copy(more, *held)
	}
	h.byType.CompareAndSwap(held, &more)
}

// appendHeader writes the one form of header that Sign writes and Verify accepts.
func appendHeader(b []byte, alg, typ, kid string) []byte {
	return jsonobject.Object(b).Text("alg", alg).Text("typ", typ).Text("kid", kid).Close()
}

// plain says whether a text needs no escaping in JSON.
func plain(typ string) bool {
	for _, c := range []byte(typ) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '+' && c != '-' && c != '.' && c != '/' && c != '_' {
			return false
		}
	}
	return typ != ""
}

var b64 = base64.RawURLEncoding

// sign puts the three parts together (RFC 7515 §5.1).
func (k *signer) sign(header string, claims []byte) (string, error) {
	if len(claims) < 2 || claims[0] != '{' || claims[len(claims)-1] != '}' {
		return "", errors.New("claims must be a JSON object")
	}
	whole := len(header) + 2 + b64.EncodedLen(len(claims)) + b64.EncodedLen(k.signatureLen())
	if whole > MaxBytes {
		return "", fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrTooLong, whole, MaxBytes)
	}
	token := make([]byte, 0, whole)
	token = append(append(token, header...), '.')
	token = b64.AppendEncode(token, claims)
	var buf [64]byte
	signature, err := k.signature(buf[:0], token)
	if err != nil {
		return "", err
	}
	return string(b64.AppendEncode(append(token, '.'), signature)), nil
}

func (k *signer) signatureLen() int {
	if private, ok := k.Private.(*rsa.PrivateKey); ok {
		return private.Size()
	}
	return 64
}

// signature signs the input (RFC 7518 §3.3, §3.4, RFC 8037 §3.1). buf has 64 bytes.
func (k *signer) signature(buf, input []byte) ([]byte, error) {
	switch private := k.Private.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(private, input), nil
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, err
		}
		r.FillBytes(buf[:32])
		s.FillBytes(buf[32:64])
		return buf[:64], nil
	case *rsa.PrivateKey:
		digest := sha256.Sum256(input)
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	}
	return nil, errors.New("a key that cannot sign")
}
