package tokens

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func testCodec() *Codec { return NewCodec(ServerKey{1, 2, 3}) }

func mintAll(c *Codec) map[Kind]string {
	tag, fam := c.Tag("u-1"), NewSessionID()
	ca, _ := c.NewClientAccess()
	ua, _ := c.NewUserAccess(tag, fam)
	rt, _ := c.NewRefresh(tag, fam, 7)
	return map[Kind]string{ClientAccess: ca, UserAccess: ua, Refresh: rt}
}

func TestBase62(t *testing.T) {
	for n := range 40 {
		src := bytes.Repeat([]byte{0xff}, n)
		text := appendBase62(nil, src)
		require.Len(t, text, encodedLen(n))
		dst := make([]byte, n)
		require.True(t, decodeBase62(dst, string(text)))
		require.Equal(t, src, dst)
	}
	t.Run("digits beyond 256^n are no encoding: one text for any bytes", func(t *testing.T) {
		require.False(t, decodeBase62(make([]byte, 8), "zzzzzzzzzzz"))
		require.False(t, decodeBase62(make([]byte, 1), "zz"))
	})
	t.Run("foreign characters are refused", func(t *testing.T) {
		require.False(t, decodeBase62(make([]byte, 1), "-0"))
	})
}

func TestCodecRoundTrip(t *testing.T) {
	c := testCodec()
	tag, fam := c.Tag("u-1"), NewSessionID()
	text, minted := c.NewRefresh(tag, fam, 7)
	parsed, err := c.Parse(text)
	require.NoError(t, err)
	require.Equal(t, minted, parsed)
	require.Equal(t, Token{Kind: Refresh, Hash: HashText(text), Tag: tag, Session: fam, Generation: 7}, parsed)

	text, minted = c.NewUserAccess(tag, fam)
	parsed, err = c.Parse(text)
	require.NoError(t, err)
	require.Equal(t, minted, parsed)

	text, minted = c.NewClientAccess()
	parsed, err = c.Parse(text)
	require.NoError(t, err)
	require.Equal(t, minted, parsed)
}

func TestTokenTexts(t *testing.T) {
	b64token := regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
	c := testCodec()
	t.Run("TR-06 RFC 6750 §2.1 every text is a b64token of base62 behind its prefix", func(t *testing.T) {
		for _, text := range mintAll(c) {
			require.Regexp(t, b64token, text)
			require.Regexp(t, regexp.MustCompile(`^g[ar]t_[0-9A-Za-z]+$`), text)
		}
	})
	t.Run("TR-07 §10.10 ten thousand texts are all different", func(t *testing.T) {
		seen := map[string]bool{}
		for range 10_000 {
			text, _ := c.NewClientAccess()
			require.False(t, seen[text])
			seen[text] = true
		}
	})
	t.Run("two tokens of one user share no visible part", func(t *testing.T) {
		tag, fam := c.Tag("u-1"), NewSessionID()
		a, _ := c.NewUserAccess(tag, fam)
		b, _ := c.NewUserAccess(tag, fam)
		require.Less(t, longestCommon(a[prefixLen+2:], b[prefixLen+2:]), 6)
	})
}

// longestCommon is the length of the longest run of equal characters at equal places.
func longestCommon(a, b string) (longest int) {
	run := 0
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}

func TestForgedTextsAreNotOurs(t *testing.T) {
	c := testCodec()
	other := NewCodec(ServerKey{9})
	for kind, text := range mintAll(c) {
		t.Run("every single changed character is refused", func(t *testing.T) {
			for i := range len(text) {
				mangled := []byte(text)
				mangled[i] = alphabet[(strings.IndexByte(alphabet, text[i])+1)%62]
				_, err := c.Parse(string(mangled))
				require.ErrorIs(t, err, ErrNotOurs, "kind %d, character %d", kind, i)
				_, err = c.Parse(string(fixChecksum(mangled)))
				if i < len(text)-checkDigits {
					require.ErrorIs(t, err, ErrNotOurs, "kind %d, character %d, right checksum", kind, i)
				}
			}
		})
		t.Run("every cut is refused", func(t *testing.T) {
			for i := range len(text) {
				_, err := c.Parse(text[:i])
				require.ErrorIs(t, err, ErrNotOurs)
			}
			_, err := c.Parse(text + "0")
			require.ErrorIs(t, err, ErrNotOurs)
		})
		t.Run("a text under another server key is refused", func(t *testing.T) {
			_, err := other.Parse(text)
			require.ErrorIs(t, err, ErrNotOurs)
		})
	}
	t.Run("RT-09 an access token under a refresh prefix is refused", func(t *testing.T) {
		text := mintAll(c)[UserAccess]
		_, err := c.Parse(string(fixChecksum([]byte(PrefixRefresh + text[prefixLen:]))))
		require.ErrorIs(t, err, ErrNotOurs)
	})
}

func fixChecksum(text []byte) []byte { return appendChecksum(text[:len(text)-checkDigits]) }

func TestNewSecret(t *testing.T) {
	t.Run("CA-15 §10.10 256 random bits behind gcs_", func(t *testing.T) {
		s := NewSecret()
		require.Regexp(t, regexp.MustCompile(`^gcs_[0-9A-Za-z]{50}$`), s)
		require.NotEqual(t, s, NewSecret())
		require.True(t, checksumHolds(s))
	})
}

func FuzzParse(f *testing.F) {
	c := testCodec()
	for _, text := range mintAll(c) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := c.Parse(text)
		if err == nil {
			require.Equal(t, HashText(text), tok.Hash)
		}
	})
}

func BenchmarkNewClientAccess(b *testing.B) {
	c := testCodec()
	b.ReportAllocs()
	for b.Loop() {
		c.NewClientAccess()
	}
}

func BenchmarkParse(b *testing.B) {
	c := testCodec()
	text, _ := c.NewClientAccess()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Parse(text)
	}
}
