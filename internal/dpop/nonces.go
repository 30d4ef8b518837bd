package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

// Nonces makes and knows nonces (RFC 9449 §8, §9) without remembering any. A nonce is the MAC of a
// stretch of time, so all who have the key make and take the same, and none can be made ahead.
type Nonces struct {
	key     [32]byte
	stretch time.Duration
	current atomic.Pointer[stretches]
}

// stretches are the nonces of a stretch of time, of that before and of that behind: another node's
// clock may be ahead.
type stretches struct {
	number int64
	nonces [3]string // of number-1, number, number+1
}

// NewNonces takes a secret of the deployment. A nonce is good for lifetime at least, and for less
// than two.
func NewNonces(key [32]byte, lifetime time.Duration) (*Nonces, error) {
	if lifetime < time.Second {
		return nil, errors.New("a nonce must be good for a second at least")
	}
	return &Nonces{key: key, stretch: lifetime}, nil
}

// Current returns the nonce to send.
func (n *Nonces) Current(now time.Time) string { return n.at(now).nonces[1] }

// check says until when a nonce is good here, and whether it is an old one.
func (n *Nonces) check(nonce string, now time.Time) (until time.Time, old, ok bool) {
	s := n.at(now)
	for i, known := range s.nonces {
		if subtle.ConstantTimeCompare([]byte(nonce), []byte(known)) == 1 {
			number := s.number - 1 + int64(i)
			return time.Unix(0, (number+2)*int64(n.stretch)), i == 0, true
		}
	}
	return time.Time{}, false, false
}

// at returns the nonces of now, which are made once a stretch.
func (n *Nonces) at(now time.Time) *stretches {
	number := now.UnixNano() / int64(n.stretch)
	if s := n.current.Load(); s != nil && s.number == number {
		return s
	}
	s := &stretches{number: number}
	for i := range s.nonces {
		s.nonces[i] = n.make(number - 1 + int64(i))
	}
	n.current.Store(s)
	return s
}

func (n *Nonces) make(number int64) string {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write([]byte("grantor/dpop-nonce/v1"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(number)))    // #nosec G115 -- any bits do
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(n.stretch))) // #nosec G115 -- likewise
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}
