package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync"
	"sync/atomic"
)

// Prefixes of the texts that users see. Leak scanners look for them.
const (
	PrefixAccess       = "gat_"
	PrefixRefresh      = "grt_"
	PrefixSecret       = "gcs_"
	PrefixRegistration = "grg_"
)

// Kind is what a token is for.
type Kind uint8

// The kinds. A refresh token is never accepted as an access token, nor the other way round
// (RFC 6749 §1.5).
const (
	ClientAccess Kind = iota + 1 // access token of a client itself
	UserAccess                   // access token of a user's session
	Refresh                      // refresh token of a user's session
)

// Sizes in bytes.
const (
	prefixLen   = 4
	randomSize  = 32
	macSize     = 8
	locatorSize = 24
	checkDigits = 6 // CRC-32 in base62
)

// textFormat is how long the parts of a body are: format byte, locator, generation, random bytes,
// MAC.
type textFormat struct {
	kind       Kind
	prefix     string
	locator    int // size: 0 or locatorSize
	generation int // size: 0 or 4
}

func (l textFormat) bodySize() int { return 1 + l.locator + l.generation + randomSize + macSize }
func (l textFormat) textLen() int  { return prefixLen + encodedLen(l.bodySize()) + checkDigits }

var textFormats = [...]textFormat{
	{ClientAccess, PrefixAccess, 0, 0},
	{UserAccess, PrefixAccess, locatorSize, 0},
	{Refresh, PrefixRefresh, locatorSize, 4},
}

// ErrNotOurs is the one error of Codec.Parse: this server did not mint the text. The text has no
// effect.
var ErrNotOurs = errors.New("not a token of this server")

// Hash is the SHA-256 of a token's text: what a store keeps instead of it.
type Hash [sha256.Size]byte

// HashText returns the hash of a token's text.
func HashText(text string) Hash {
	var short [128]byte // tokens fit: no allocation
	return sha256.Sum256(append(short[:0], text...))
}

// ID names an access token's record: the first half of its Hash. It is the token's jti.
type ID [16]byte

// String returns 22 base62 digits.
func (id ID) String() string { return string(appendBase62(make([]byte, 0, 22), id[:])) }

// Tag stands for a user in keys: a keyed hash of the user's id.
type Tag [8]byte

// String returns 11 base62 digits: they name a user where the id must not stand.
func (t Tag) String() string { return string(appendBase62(make([]byte, 0, 11), t[:])) }

// SessionID names a session.
type SessionID [16]byte

// String returns 22 base62 digits.
func (f SessionID) String() string { return string(appendBase62(make([]byte, 0, 22), f[:])) }

// ParseSessionID reads what SessionID.String wrote.
func ParseSessionID(text string) (SessionID, bool) {
	var f SessionID
	ok := decodeBase62(f[:], text)
	return f, ok
}

// Token is a text that this server minted, taken apart.
type Token struct {
	Kind       Kind
	Hash       Hash
	Tag        Tag       // of a user's token
	Session    SessionID // of a user's token
	Generation uint32    // of a refresh token: how many rotations came before it
	JTI        string    // of a JWT; "" for an opaque token
}

// Name returns what holders of an access token call it: its jti.
func (t Token) Name() string {
	if t.JTI != "" {
		return t.JTI
	}
	return t.ID().String()
}

// ID names the token's record.
func (t Token) ID() ID { return ID(t.Hash[:16]) }

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

// NewSessionID draws the id of a new session.
func NewSessionID() (f SessionID) {
	rand.Read(f[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return f
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
	rand.Read(random) //nolint:errcheck // as above
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

// WellFormed says whether a text has the form of a token: length, alphabet and checksum. Only a
// Codec can check the MAC.
func WellFormed(text string) bool {
	for _, l := range textFormats {
		if len(text) == l.textLen() && text[:prefixLen] == l.prefix {
			return checksumHolds(text)
		}
	}
	return false
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

// appendChecksum appends the CRC-32 of a text. It is for leak scanners, and keeps nobody out.
func appendChecksum(text []byte) []byte {
	return appendNumber(text, uint64(crc32.ChecksumIEEE(text)), checkDigits)
}

func checksumHolds(text string) bool {
	end := len(text) - checkDigits
	v, ok := number(text[end:])
	if !ok {
		return false
	}
	crc := uint32(0xffffffff) // CRC-32/IEEE by table: the library's needs the text in a slice of the heap
	for i := range end {
		crc = crc32.IEEETable[byte(crc)^text[i]] ^ crc>>8
	}
	return v == uint64(^crc)
}

// NewSecret returns a fresh client secret: gcs_, 256 random bits, checksum
// (RFC 6749 §10.10).
func NewSecret() string { return newText(PrefixSecret) }

// NewRegistrationToken returns a fresh registration access token: grg_, 256 random bits, checksum
// (RFC 7592 §3).
func NewRegistrationToken() string { return newText(PrefixRegistration) }

func newText(prefix string) string {
	var random [randomSize]byte
	rand.Read(random[:]) //nolint:errcheck // as above
	text := appendBase62(append(make([]byte, 0, 56), prefix...), random[:])
	return string(appendChecksum(text))
}
