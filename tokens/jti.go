package tokens

import (
	"crypto/rand"
	"crypto/sha256"
)

// A JWT access token has the same record as an opaque one, under its jti (RFC 9068 §2.2), so that it can be introspected and revoked
// like any other. The jti is the record's name, 22 digits; that of a user's token goes on with its family, hidden under a keyed hash of
// the name, so that two tokens of one user share no visible part but their sub.

const jtiDigits = 22

// NewClientJTI draws the jti of a client's token.
func (c *Codec) NewClientJTI() (string, Token) {
	t := tokenOfJTI(drawID())
	t.Kind = ClientAccess
	t.JTI = t.ID().String()
	return t.JTI, t
}

// NewUserJTI draws the jti of a family's token.
func (c *Codec) NewUserJTI(tag Tag, family SessionID) (string, Token) {
	t := tokenOfJTI(drawID())
	t.Kind, t.Tag, t.Session = UserAccess, tag, family
	hidden := c.hideFamily(t.ID(), family)
	t.JTI = t.ID().String() + hidden.String()
	return t.JTI, t
}

// ParseJTI finds the token of a JWT that this server signed: subject is its sub where it is a user's, "" otherwise. ErrNotOurs when
// the jti is none.
func (c *Codec) ParseJTI(jti, subject string) (Token, error) {
	var id ID
	want := jtiDigits
	if subject != "" {
		want *= 2
	}
	if len(jti) != want || !decodeBase62(id[:], jti[:jtiDigits]) {
		return Token{}, ErrNotOurs
	}
	t := tokenOfJTI(id)
	t.Kind, t.JTI = ClientAccess, jti
	if subject == "" {
		return t, nil
	}
	var hidden SessionID
	if !decodeBase62(hidden[:], jti[jtiDigits:]) {
		return Token{}, ErrNotOurs
	}
	t.Kind, t.Tag, t.Session = UserAccess, c.Tag(subject), c.hideFamily(id, hidden)
	return t, nil
}

// tokenOfJTI makes the hash under which a jti's record lies: the name itself, and a hash of it by which a mixed-up answer is noticed.
func tokenOfJTI(id ID) (t Token) {
	copy(t.Hash[:], id[:])
	sum := sha256.Sum256(id[:])
	copy(t.Hash[len(id):], sum[:])
	return t
}

func drawID() (id ID) {
	rand.Read(id[:]) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return id
}

// hideFamily turns a family's id into noise and back.
func (c *Codec) hideFamily(id ID, f SessionID) SessionID {
	pad := c.now.Load().locator.sum2("jti", id[:])
	for i := range f {
		f[i] ^= pad[i]
	}
	return f
}
