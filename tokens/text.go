package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
)

// Prefixes of the texts that users see. Leak scanners look for them.
const (
	PrefixAccess       = "gat_"
	PrefixRefresh      = "grt_"
	PrefixSecret       = "gcs_"
	PrefixRegistration = "grg_"
	PrefixAPIKey       = "gak_"
)

// Kind is what a token is for.
type Kind uint8

// The kinds. A refresh token is never accepted as an access token, nor the other way round
// (RFC 6749 §1.5).
const (
	ClientAccess Kind = iota + 1 // access token of a client itself
	UserAccess                   // access token of a user's session
	Refresh                      // refresh token of a user's session
	ClientKey                    // API key of a client: an access token as long-lived as its owner said
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
	{ClientKey, PrefixAPIKey, 0, 0},
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

// NewSessionID draws the id of a new session.
func NewSessionID() (f SessionID) {
	rand.Read(f[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return f
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
	rand.Read(random[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	text := appendBase62(append(make([]byte, 0, 56), prefix...), random[:])
	return string(appendChecksum(text))
}
