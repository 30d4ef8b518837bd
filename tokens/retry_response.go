package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// ErrRetryResponse: this refresh token does not open the retry response.
var ErrRetryResponse = errors.New("the retry response cannot be opened")

// RetryResponseHead is how many bytes SealRetryResponse needs before a response: the nonce of
// AES-GCM.
const RetryResponseHead = 12

// SealRetryResponse encrypts the response to a refresh: only who presents the old refresh token can
// open it, and no key of the server or in Redis can. The response begins after RetryResponseHead
// free bytes. The sealed response takes its place.
func (c *Codec) SealRetryResponse(refresh string, response []byte) ([]byte, error) {
	aead, err := c.retryCipher(refresh)
	if err != nil {
		return nil, err
	}
	nonce := response[:RetryResponseHead]
	rand.Read(nonce) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return aead.Seal(nonce, nonce, response[RetryResponseHead:], nil), nil
}

// OpenRetryResponse returns the response that SealRetryResponse sealed with the same refresh token,
// or ErrRetryResponse.
func (c *Codec) OpenRetryResponse(refresh string, sealed []byte) ([]byte, error) {
	aead, err := c.retryCipher(refresh)
	if err != nil || len(sealed) < aead.NonceSize() {
		return nil, ErrRetryResponse
	}
	response, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, ErrRetryResponse
	}
	return response, nil
}

// retryCipher derives its key by HMAC with a fixed label as key and the token as message. Never the
// other way round: HMAC replaces a key above 64 bytes by its SHA-256, which is what Redis holds.
func (c *Codec) retryCipher(refresh string) (cipher.AEAD, error) {
	key := c.retry.sum2(refresh, nil)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
