package tokens

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// exchangedRecord is a token that came from two others.
func exchangedRecord() *Record {
	return &Record{ClientID: "c", ClientEpoch: Epoch{7}, Scope: "a", Audience: []string{"https://a"}, IssuedAt: time.Unix(1, 0), TTL: time.Minute,
		Exchange: &Exchange{Actor: "b", ActorEpoch: Epoch{8}, Parents: []Parent{{Hash: Hash{1}}, {Hash: Hash{2}, JWT: true}}}}
}

// TestExchangedRecordFormat spells out what Redis holds, byte for byte.
func TestExchangedRecordFormat(t *testing.T) {
	h, zeros := HashText("x"), func(n int) string { return strings.Repeat("\x00", n) }
	value := string(appendExchangedRecord(nil, h, exchangedRecord()))
	t.Run("S-65 the record of an exchanged token", func(t *testing.T) {
		require.Equal(t, "\x06"+string(h[16:])+"\x07"+zeros(7)+"\x01\x3c"+"\x01c"+"\x01a"+"\x01\x09https://a"+
			"\x01b"+"\x08"+zeros(7)+"\x00\x00"+"\x02"+"\x00\x01"+zeros(31)+"\x01\x02"+zeros(31), value)
	})
	t.Run("S-65 a version before it takes it for no token of its own", func(t *testing.T) {
		_, err := parseClientRecord([]byte(value), h)
		require.ErrorIs(t, err, ErrRecord)
		_, err = parseUserRecord([]byte(value), h, &Session{})
		require.ErrorIs(t, err, ErrRecord)
		_, err = parseKeyRecord([]byte(value), h)
		require.ErrorIs(t, err, ErrRecord)
	})
	t.Run("TX-09 a record that came from nothing, or from more than may be, is none", func(t *testing.T) {
		for _, change := range []func(*Exchange){
			func(e *Exchange) { e.Parents = nil },
			func(e *Exchange) { e.Parents = make([]Parent, MaxParents+1) },
		} {
			r := exchangedRecord()
			change(r.Exchange)
			_, err := parseExchangedRecord(appendExchangedRecord(nil, h, r), h)
			require.ErrorIs(t, err, ErrRecord)
		}
	})
}

// FuzzParseExchangedRecord: what Redis holds is a record that is written back as it was read, or
// ErrRecord.
func FuzzParseExchangedRecord(f *testing.F) {
	h := HashText("x")
	f.Add(appendExchangedRecord(nil, h, exchangedRecord()))
	foreign := exchangedRecord()
	foreign.Exchange.Parents, foreign.Exchange.Issuer, foreign.Exchange.Subject = nil, "https://idp", "u"
	f.Add(appendExchangedRecord(nil, h, foreign))
	f.Add(appendExchangedRecord(nil, h, exchangedRecord())[:60])
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseExchangedRecord(value, h)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		again, err := parseExchangedRecord(appendExchangedRecord(nil, h, r), h)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

// TestNameOfParent: a token's name in the revocation feed is found from what its children keep.
func TestNameOfParent(t *testing.T) {
	c := NewCodec(NewServerKey())
	tag, session := c.Tag("u"), NewSessionID()
	_, opaque := c.NewUserAccess(tag, session)
	_, ofUser := c.NewUserJTI(tag, session)
	_, machine := c.NewClientAccess()
	_, ofMachine := c.NewClientJTI()
	for _, parent := range []Token{opaque, ofUser, machine, ofMachine} {
		child := Token{Kind: parent.Kind, Tag: parent.Tag, Session: parent.Session}
		require.Equal(t, parent.Name(), c.NameOf(Parent{Hash: parent.Hash, JWT: parent.JTI != ""}, child))
	}
}
