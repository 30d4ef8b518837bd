package tokens

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"
)

// ServerKey is the secret from which the MAC, tag and locator keys of a deployment derive. All
// nodes share it, and it is never changed in place. It opens no token: stores keep hashes of random
// texts.
type ServerKey [32]byte

// NewServerKey draws a key.
func NewServerKey() (k ServerKey) {
	rand.Read(k[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return k
}

// String keeps the key out of logs.
func (k ServerKey) String() string { return "[server key]" }

// id is the format byte of this key's tokens. Another key would have another.
func (k ServerKey) id() byte { return 1 }

// Derive returns a key of 32 bytes for another use, named by a label of its own.
func (k ServerKey) Derive(label string) []byte { return k.derive("derived/" + label) }

func (k ServerKey) derive(label string) []byte {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte(label))
	return m.Sum(nil)
}

// hmacPool computes HMAC-SHA256 under one key, which is set up once for many uses.
type hmacPool struct{ pool sync.Pool }

type hmacState struct {
	hash hash.Hash
	in   [128]byte // the input: here it does not escape to the heap at each call
	out  [sha256.Size]byte
}

func newHMACPool(key []byte) *hmacPool {
	p := &hmacPool{}
	p.pool.New = func() any { return &hmacState{hash: hmac.New(sha256.New, key)} }
	return p
}

func (p *hmacPool) sum(data []byte) [sha256.Size]byte { return p.sum2("", data) }

func (p *hmacPool) sum2(first string, second []byte) [sha256.Size]byte {
	s := p.pool.Get().(*hmacState)
	defer p.pool.Put(s)
	s.hash.Reset()
	s.hash.Write(append(append(s.in[:0], first...), second...))
	s.hash.Sum(s.out[:0])
	return s.out
}
