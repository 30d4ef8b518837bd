package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Codec mints and reads token texts under a server key. It may be used by any number of goroutines.
type Codec struct {
	now     atomic.Pointer[derivedKeys]
	retry   *hmacPool // its key is a fixed label: see retryCipher
	scratch sync.Pool // of *[80]byte: bodies on their way
}

// derivedKeys are the keys that derive from one server key.
type derivedKeys struct {
	key     ServerKey
	keyID   byte
	mac     *hmacPool
	tag     *hmacPool
	locator *hmacPool
}

// NewCodec derives the MAC, tag and locator keys from the server key.
func NewCodec(key ServerKey) *Codec {
	c := &Codec{retry: newHMACPool([]byte("grantor/successor/v1"))}
	c.scratch.New = func() any { return new([80]byte) }
	c.use(key)
	return c
}

// use replaces the server key, for all who hold the codec.
func (c *Codec) use(key ServerKey) {
	c.now.Store(&derivedKeys{
		key:     key,
		keyID:   key.id(),
		mac:     newHMACPool(key.derive("grantor/mac/v1")),
		tag:     newHMACPool(key.derive("grantor/tag/v1")),
		locator: newHMACPool(key.derive("grantor/locator/v1")),
	})
}

// Key returns the server key that the codec uses now.
func (c *Codec) Key() ServerKey { return c.now.Load().key }

// Tag returns the tag of a user's id.
func (c *Codec) Tag(subject string) Tag {
	sum := c.now.Load().tag.sum([]byte(subject))
	return Tag(sum[:8])
}

// NewClientAccess mints an access token of a client itself.
func (c *Codec) NewClientAccess() (string, Token) {
	return c.mint(textFormats[0], Token{Kind: ClientAccess})
}

// NewUserAccess mints an access token of a session.
func (c *Codec) NewUserAccess(tag Tag, session SessionID) (string, Token) {
	return c.mint(textFormats[1], Token{Kind: UserAccess, Tag: tag, Session: session})
}

// NewRefresh mints a refresh token of a session.
func (c *Codec) NewRefresh(tag Tag, session SessionID, generation uint32) (string, Token) {
	return c.mint(textFormats[2], Token{Kind: Refresh, Tag: tag, Session: session, Generation: generation})
}

// NewClientKey mints an API key.
func (c *Codec) NewClientKey() (string, Token) {
	return c.mint(textFormats[3], Token{Kind: ClientKey})
}

// mint draws the random bytes, hides the locator under them, and appends MAC and checksum.
func (c *Codec) mint(l textFormat, t Token) (string, Token) {
	scratch := c.scratch.Get().(*[80]byte) // rand.Read would send one of the stack to the heap
	defer c.scratch.Put(scratch)
	keys := c.now.Load()
	body := append(scratch[:0], keys.keyID)
	body = body[:len(body)+l.locator]
	if l.generation > 0 {
		body = binary.BigEndian.AppendUint32(body, t.Generation)
	}
	random := body[len(body) : len(body)+randomSize]
	rand.Read(random) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	body = body[:len(body)+randomSize]
	if l.locator > 0 {
		where := body[1 : 1+locatorSize]
		copy(where, t.Tag[:])
		copy(where[len(t.Tag):], t.Session[:])
		keys.hide(where, random)
	}
	body = keys.appendMAC(body, l.prefix)

	var short [112]byte
	text := append(short[:0], l.prefix...)
	text = appendBase62(text, body)
	text = appendChecksum(text)
	t.Hash = sha256.Sum256(text)
	return string(text), t
}

// Parse reads a text. It checks, in this order: exact length and alphabet, checksum, MAC. Its only
// error is ErrNotOurs.
func (c *Codec) Parse(text string) (Token, error) {
	for _, l := range textFormats {
		if len(text) == l.textLen() && text[:prefixLen] == l.prefix {
			return c.parse(l, text)
		}
	}
	return Token{}, ErrNotOurs
}

func (c *Codec) parse(l textFormat, text string) (Token, error) {
	var buf [80]byte
	body := buf[:l.bodySize()]
	keys := c.now.Load()
	if !checksumHolds(text) || !decodeBase62(body, text[prefixLen:len(text)-checkDigits]) || body[0] != keys.keyID {
		return Token{}, ErrNotOurs
	}
	open := len(body) - macSize
	var again [80]byte
	want := keys.appendMAC(append(again[:0], body[:open]...), l.prefix)
	if subtle.ConstantTimeCompare(want[open:], body[open:]) != 1 {
		return Token{}, ErrNotOurs
	}
	t := Token{Kind: l.kind, Hash: HashText(text)}
	if l.locator > 0 {
		where := body[1 : 1+locatorSize]
		keys.hide(where, body[open-randomSize:open])
		t.Tag, t.Session = Tag(where[:8]), SessionID(where[8:])
	}
	if l.generation > 0 {
		t.Generation = binary.BigEndian.Uint32(body[1+l.locator:])
	}
	return t, nil
}

// hide turns a locator into noise and back: XOR with a keyed hash of the token's own random bytes.
// So two tokens of one user share no visible part.
func (k *derivedKeys) hide(locator, random []byte) {
	pad := k.locator.sum(random)
	subtle.XORBytes(locator, locator, pad[:locatorSize])
}

// appendMAC appends 64 bits of a MAC over prefix and body.
func (k *derivedKeys) appendMAC(body []byte, prefix string) []byte {
	sum := k.mac.sum2(prefix, body)
	return append(body, sum[:macSize]...)
}
