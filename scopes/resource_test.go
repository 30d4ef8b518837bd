package scopes

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSameResource plays the table that the Django kit plays too.
func TestSameResource(t *testing.T) {
	text, err := os.ReadFile("testdata/resources.json")
	require.NoError(t, err)
	var table struct{ Same, Different [][]string }
	require.NoError(t, json.Unmarshal(text, &table))
	require.NotEmpty(t, table.Same)
	require.NotEmpty(t, table.Different)
	t.Run("RI-07 RFC 3986 §6.2.2 §6.2.3 spellings of one resource", func(t *testing.T) {
		for _, same := range table.Same {
			for _, b := range same {
				require.True(t, SameResource(same[0], b), "%s %s", same[0], b)
				require.True(t, SameResource(b, same[0]), "%s %s", b, same[0])
				require.True(t, Names([]string{"https://else.example", b}, same[0]), b)
				require.Equal(t, normal(b), normal(normal(b)))
			}
		}
	})
	t.Run("RI-07 RFC 3986 §6.2 what only looks alike is another resource", func(t *testing.T) {
		for _, pair := range table.Different {
			require.False(t, SameResource(pair[0], pair[1]), "%s", pair)
			require.False(t, SameResource(pair[1], pair[0]), "%s", pair)
			require.False(t, Names([]string{pair[1]}, pair[0]), "%s", pair)
		}
	})
	t.Run("an audience names a resource once, as it was spelled first", func(t *testing.T) {
		aud := AddResource(AddResource(nil, "https://a.example"), "https://A.example/")
		require.Equal(t, []string{"https://a.example"}, aud)
		require.False(t, Names(nil, "https://a.example"))
	})
}

// parts is a URI that is written in many ways.
type parts struct {
	host string
	port int // 0: the scheme's
	path []string
}

func drawParts(t *rapid.T) parts {
	name := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,6}`)
	return parts{name.Draw(t, "host") + ".example", rapid.SampledFrom([]int{0, 80, 8443}).Draw(t, "port"),
		rapid.SliceOfN(rapid.StringMatching(`[A-Za-z0-9~_-]{1,5}`), 0, 3).Draw(t, "path")}
}

// plain writes it the shortest way, and spelled in one of the others.
func (p parts) plain() string {
	text := "https://" + p.host
	if p.port != 0 {
		text += fmt.Sprint(":", p.port)
	}
	for _, s := range p.path {
		text += "/" + s
	}
	return text
}

func (p parts) spelled(t *rapid.T) string {
	var b strings.Builder
	letter := func(c byte, mayFold bool) {
		switch how := rapid.IntRange(0, 5).Draw(t, "letter"); {
		case how == 0:
			fmt.Fprintf(&b, "%%%02x", c)
		case how == 1:
			fmt.Fprintf(&b, "%%%02X", c)
		case how == 2 && mayFold:
			b.WriteString(strings.ToUpper(string(c)))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString(rapid.SampledFrom([]string{"https://", "HTTPS://", "hTTps://"}).Draw(t, "scheme"))
	for _, c := range []byte(p.host) {
		letter(c, true)
	}
	if p.port != 0 {
		fmt.Fprint(&b, ":", p.port)
	} else {
		b.WriteString(rapid.SampledFrom([]string{"", ":443", ":"}).Draw(t, "default port"))
	}
	for _, s := range p.path {
		b.WriteString(rapid.SampledFrom([]string{"/", "/./", "/gone/../", "/%2E/"}).Draw(t, "dots"))
		for _, c := range []byte(s) {
			letter(c, false)
		}
	}
	if len(p.path) == 0 {
		b.WriteString(rapid.SampledFrom([]string{"", "/", "/."}).Draw(t, "empty path"))
	}
	return b.String()
}

func TestSameResourceProperties(t *testing.T) {
	t.Run("RI-07 any two URIs are the same exactly if their parts are", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			a, b := drawParts(t), drawParts(t)
			if rapid.Bool().Draw(t, "alike") {
				b = parts{a.host, a.port, b.path}
			}
			require.True(t, SameResource(a.spelled(t), a.plain()))
			require.Equal(t, a.plain() == b.plain(), SameResource(a.spelled(t), b.spelled(t)))
		})
	})
}

func FuzzSameResource(f *testing.F) {
	f.Add("https://A.example:443/%2e/b?c", "x:/.//a")
	f.Fuzz(func(t *testing.T, a, b string) {
		require.Equal(t, normal(a), normal(normal(a)))
		require.True(t, SameResource(a, normal(a)))
		require.Equal(t, SameResource(a, b), SameResource(b, a))
		if SameResource(a, b) && !strings.Contains(a, ":") {
			require.Equal(t, a, b, "a name is no URI")
		}
		if SameResource(a, b) && CheckResource(a) == nil && CheckResource(b) == nil {
			require.Equal(t, strings.Contains(a, "?"), strings.Contains(b, "?"))
		}
	})
}

func TestAudienceNames(t *testing.T) {
	t.Run("RI-08 RFC 7519 §4.1.3 an audience that is no URI needs the configuration's word", func(t *testing.T) {
		_, err := NewCatalogue(map[string]Scope{"read": {Resource: "rabbitmq"}})
		require.ErrorContains(t, err, `[tokens] audience_names = ["rabbitmq"]`)
		c, err := NewCatalogue(map[string]Scope{"read": {Resource: "rabbitmq"}}, "rabbitmq")
		require.NoError(t, err)
		require.Equal(t, []string{"rabbitmq"}, c.Audience(MustParse("read")))
		require.NoError(t, c.CheckAudience("rabbitmq"))
		require.NoError(t, c.CheckAudience("https://a.example"))
		for _, bad := range []string{"RabbitMQ", "rabbitmq2", "", "a b"} {
			require.Error(t, c.CheckAudience(bad), bad)
		}
		var none *Catalogue
		require.Error(t, none.CheckAudience("rabbitmq"))
	})
	t.Run("RI-08 RFC 7519 §2 a name has no colon", func(t *testing.T) {
		for _, bad := range []string{"", "a:b", "a b", `a"b`, "é", "a\n", strings.Repeat("a", 256)} {
			require.Error(t, CheckAudienceName(bad), "%q", bad)
		}
		for _, good := range []string{"rabbitmq", "my_server", "a/b", "*"} {
			require.NoError(t, CheckAudienceName(good), good)
		}
	})
	t.Run("RI-07 scopes of one resource spell it alike", func(t *testing.T) {
		_, err := NewCatalogue(map[string]Scope{"a": {Resource: "https://a.example"}, "b": {Resource: "https://a.example/"}})
		var entry *EntryError
		require.ErrorAs(t, err, &entry)
		require.Equal(t, "b", entry.Scope)
		require.Equal(t, "resource", entry.Field)
		require.ErrorContains(t, err, `the same resource as "https://a.example" of the scope "a"`)
	})
}
