package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// Wrap encrypts private keys, so that a dump of Redis alone forges nothing: AES-256-GCM under keys
// that HKDF (RFC 5869) derives from the configured ones.
type Wrap struct{ keys []cipher.AEAD } // the newest first

// NewWrap takes the encryption key, which encrypts, and previous ones, which only decrypt. Each is
// random text of at least 32 characters, such as 32 bytes in base64, hex or base62. The text
// counts: the same bytes in another spelling are another key.
func NewWrap(current string, previous ...string) (*Wrap, error) {
	w := &Wrap{}
	for i, text := range append([]string{current}, previous...) {
		name := "[keys] encryption_key"
		if i > 0 {
			name = fmt.Sprintf("[keys] previous_encryption_keys, number %d", i)
		}
		key, err := derive(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w.keys = append(w.keys, key)
	}
	return w, nil
}

// String keeps the keys out of logs.
func (*Wrap) String() string { return "[encryption keys]" }

// GoString is String.
func (w *Wrap) GoString() string { return w.String() }

// Bounds of an encryption key: its length, and how many characters of it must differ.
const (
	minKeyText    = 32
	minCharacters = 8
)

func derive(text string) (cipher.AEAD, error) {
	if len(text) < minKeyText {
		return nil, fmt.Errorf("it needs %d characters or more, such as 32 random bytes in base64: openssl rand -base64 32", minKeyText)
	}
	different := map[byte]bool{}
	for _, c := range []byte(text) {
		different[c] = true
	}
	if len(different) < minCharacters {
		return nil, errors.New("it must be random: it repeats a few characters")
	}
	key, err := hkdf.Key(sha256.New, []byte(text), nil, "grantor/keys/wrap/v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// boundTo is the associated data: purpose and key, so that no wrapped key opens in another's place.
func boundTo(k *Key) []byte {
	return []byte("grantor/keys/signing/v1\x00" + k.ID + "\x00" + string(k.Algorithm))
}

// close encrypts a secret: nonce, then AES-GCM.
func (w *Wrap) close(secret, about []byte) []byte {
	nonce := make([]byte, w.keys[0].NonceSize(), w.keys[0].NonceSize()+len(secret)+w.keys[0].Overhead())
	rand.Read(nonce) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return w.keys[0].Seal(nonce, nonce, secret, about)
}

// open decrypts what close encrypted, under the newest key or a previous one, and reports which.
func (w *Wrap) open(wrapped, about []byte) (secret []byte, newest bool, err error) {
	for i, key := range w.keys {
		if len(wrapped) < key.NonceSize() {
			break
		}
		nonce, sealed := wrapped[:key.NonceSize()], wrapped[key.NonceSize():]
		if secret, err := key.Open(nil, nonce, sealed, about); err == nil {
			return secret, i == 0, nil
		}
	}
	return nil, false, ErrEncryptionKey
}
