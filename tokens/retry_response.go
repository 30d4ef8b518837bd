package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// ErrRetryResponse: a sealed answer that this refresh token does not open.
var ErrRetryResponse = errors.New("the sealed answer cannot be opened")

// SealRetryResponse encrypts the answer of a rotation so that only who presents the old refresh token opens it: no
// key of the server does, and nothing in Redis. The key is HMAC-SHA256 with a fixed label as key and the token
// as message; never the other way round, because HMAC replaces a key above 64 bytes by its SHA-256, which
// is what Redis holds. The answer stands behind RetryResponseHead bytes that are free, and is replaced by the box.
func (c *Codec) SealRetryResponse(refresh string, box []byte) ([]byte, error) {
	aead, err := c.boxCipher(refresh)
	if err != nil {
		return nil, err
	}
	nonce := box[:RetryResponseHead]
	rand.Read(nonce) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return aead.Seal(nonce, nonce, box[RetryResponseHead:], nil), nil
}

// RetryResponseHead is the room that SealRetryResponse needs before an answer, in bytes: the nonce of AES-GCM.
const RetryResponseHead = 12

// OpenRetryResponse opens what SealRetryResponse closed with the same refresh token. It returns ErrRetryResponse.
func (c *Codec) OpenRetryResponse(refresh string, box []byte) ([]byte, error) {
	aead, err := c.boxCipher(refresh)
	if err != nil || len(box) < aead.NonceSize() {
		return nil, ErrRetryResponse
	}
	answer, err := aead.Open(nil, box[:aead.NonceSize()], box[aead.NonceSize():], nil)
	if err != nil {
		return nil, ErrRetryResponse
	}
	return answer, nil
}

func (c *Codec) boxCipher(refresh string) (cipher.AEAD, error) {
	key := c.box.sum2(refresh, nil)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
