package tokens

import (
	"crypto/rand"
	"crypto/sha256"
)

// A JWT access token has the same record as an opaque one, under its jti (RFC 9068 §2.2). The jti
// of a client's token is the record's id, 22 digits. That of a user's token goes on with the
// session's id, hidden under a keyed hash: two tokens of one user share no visible part but their
// sub.

const jtiDigits = 22

// NewClientJTI draws the jti of a client's token.
func (c *Codec) NewClientJTI() (string, Token) {
	t := tokenOfJTI(drawID())
	t.Kind = ClientAccess
	t.JTI = t.ID().String()
	return t.JTI, t
}

// NewUserJTI draws the jti of a session's token.
func (c *Codec) NewUserJTI(tag Tag, session SessionID) (string, Token) {
	t := tokenOfJTI(drawID())
	t.Kind, t.Tag, t.Session = UserAccess, tag, session
	hidden := c.hideSession(t.ID(), session)
	t.JTI = t.ID().String() + hidden.String()
	return t.JTI, t
}

// ParseJTI returns the token of a JWT that this server signed. subject is its sub where it is a
// user's, else "". It returns ErrNotOurs where the jti is none.
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
	t.Kind, t.Tag, t.Session = UserAccess, c.Tag(subject), c.hideSession(id, hidden)
	return t, nil
}

// tokenOfJTI makes the hash under which a jti's record is kept: the id, and a hash of the id, by
// which a store notices an answer that belongs to another token.
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

// hideSession turns a session's id into noise and back.
func (c *Codec) hideSession(id ID, session SessionID) SessionID {
	pad := c.now.Load().locator.sum2("jti", id[:])
	for i := range session {
		session[i] ^= pad[i]
	}
	return session
}
