package tokens_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// TestRecordFormats spells out what Redis holds, byte for byte: older versions on the same Redis
// read it.
func TestRecordFormats(t *testing.T) {
	s := redistest.Start(t)
	node := tokens.NewRedis(openRedis(t, s, ""))
	c := &chain{skewed: &skewed{codec: tokens.NewCodec(tokens.ServerKey{})}, session: tokens.SessionID{5}}
	c.tag = c.codec.Tag("u")
	_, c.access = c.codec.NewUserAccess(c.tag, c.session)
	_, c.refresh = c.codec.NewRefresh(c.tag, c.session, 0)
	epoch, err := node.UserEpoch(t.Context(), c.tag, time.Hour)
	require.NoError(t, err)
	login := issuedNow(node)
	login.Audience = []string{"https://a.example"}
	require.NoError(t, started(node.StartSession(t.Context(), &tokens.SessionStart{Refresh: c.refresh, Access: c.access, Record: login,
		IdleTTL: idleLife, MaxTTL: sessionEnd, EpochTTL: time.Hour,
		Session: tokens.Session{Tag: c.tag, ID: c.session, ClientID: "app", ClientEpoch: tokens.Epoch{7}, UserEpoch: epoch, Subject: "u",
			Username: "ada", Scope: "a b", Audience: []string{"https://a.example"}, Credential: [16]byte{9}, Address: "192.0.2.0/24"}})))
	get := func(key string) string { return s.Client().Get(t.Context(), key).Val() }
	at := "{" + c.tag.String() + "}"
	sessionKey, accessKey := "f:"+at+string(c.session[:]), func(tok tokens.Token) string { id := tok.ID(); return "t:" + at + string(id[:]) }
	f, err := node.Session(t.Context(), c.access)
	require.NoError(t, err)
	body := "0003app" + "\x09" + strings.Repeat("\x00", 15) + "\x01u" + "\x03ada" + "\x03a b" + "\x01\x11https://a.example"
	epochs := string(epoch[:]) + "\x07" + strings.Repeat("\x00", 7)

	t.Run("S-65 a session as a login stores it", func(t *testing.T) {
		require.Equal(t, "\x01"+hashOf(c.refresh)+strings.Repeat("\x00", 32)+"00000000"+epochs+
			times(f.Expires, f.LastUsed, f.Created)+"000"+"192.0.2.0/24            "+body, get(sessionKey))
	})
	t.Run("S-65 the record of a user's access token", func(t *testing.T) {
		require.Equal(t, "\x02"+hashOf(c.access)[16:]+uvarints(login.IssuedAt.Unix(), 32)+"\x01a"+"\x01\x11https://a.example", get(accessKey(c.access)))
	})

	r := c.rotation(node, c.refresh)
	r.ClientEpoch, r.Address, r.RequestHash, r.RetryResponse = tokens.Epoch{7}, "2001:db8::/64", [16]byte{3}, []byte("sealed")
	_, err = node.Rotate(t.Context(), r)
	require.NoError(t, err)
	f, err = node.Session(t.Context(), c.access)
	require.NoError(t, err)
	t.Run("S-65 a session as a rotation leaves it", func(t *testing.T) {
		require.Equal(t, "\x01"+hashOf(r.New)+hashOf(c.refresh)+"00000001"+epochs+
			times(f.Expires, f.LastUsed, f.Created)+"000"+"2001:db8::/64           "+body, get(sessionKey))
	})
	t.Run("S-65 the retry response", func(t *testing.T) {
		require.Equal(t, "0"+hashOf(r.Access)[:16]+"\x03"+strings.Repeat("\x00", 15)+"sealed", get(tokens.RetryResponseKey(c.tag, c.session)))
	})
}

func hashOf(t tokens.Token) string { return string(t.Hash[:]) }

func times(list ...time.Time) (text string) {
	for _, t := range list {
		text += fmt.Sprintf("%013d", t.UnixMilli())
	}
	return text
}

func uvarints(list ...int64) (text string) {
	for _, n := range list {
		for ; n > 127; n >>= 7 {
			text += string([]byte{byte(n) | 128})
		}
		text += string([]byte{byte(n)})
	}
	return text
}
