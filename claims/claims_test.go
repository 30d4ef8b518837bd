package claims

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

func TestParse(t *testing.T) {
	t.Run("equal claims are one text, whatever their order and blanks", func(t *testing.T) {
		a, err := Parse([]byte(` {"tenant_id" : "t-7", "plan":{"seats": 3, "names":["b","a"]}, "admin":false }`))
		require.NoError(t, err)
		b, err := Parse([]byte(`{"admin":false,"plan":{"names":["b","a"],"seats":3},"tenant_id":"t-7"}`))
		require.NoError(t, err)
		require.Equal(t, a, b)
		require.Equal(t, `{"admin":false,"plan":{"names":["b","a"],"seats":3},"tenant_id":"t-7"}`, a.String())
		require.Equal(t, []string{"admin", "plan", "tenant_id"}, a.Names())
	})
	t.Run("a member that is null counts as absent", func(t *testing.T) {
		s, err := Parse([]byte(`{"role":null}`))
		require.NoError(t, err)
		require.True(t, s.IsZero())
		require.Equal(t, Set{}, s)
	})
	for name, c := range map[string]struct{ text, want string }{
		"a list":                       {`["a"]`, "one JSON object with unique names"},
		"null":                         {`null`, "one JSON object with unique names"},
		"a name twice":                 {`{"a":1,"\u0061":2}`, "unique names"},
		"no name":                      {`{"":1}`, "a claim needs a name"},
		"a name with a quote":          {`{"a\"b":1}`, "letters, digits and _-.:/~ only"},
		"a name with a line feed":      {`{"a\n":1}`, "letters, digits and _-.:/~ only"},
		"a name of 129 bytes":          {`{"` + strings.Repeat("n", 129) + `":1}`, "longer than 128 bytes"},
		"null in a list":               {`{"a":[null]}`, `claim "a": null inside a list`},
		"five lists in each other":     {`{"a":[[[[[1]]]]]}`, "4 deep"},
		"a number that readers change": {`{"a":9007199254740993}`, "between -9007199254740991 and 9007199254740991, or"},
		"a number that is infinite":    {`{"a":1e999}`, "write it as a text"},
		"2049 bytes":                   {`{"a":"` + strings.Repeat("x", 2041) + `"}`, "the claims are 2049 bytes of JSON, and a token carries at most 2048"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			s, err := Parse([]byte(c.text))
			require.ErrorContains(t, err, c.want)
			if name != "2049 bytes" {
				require.True(t, s.IsZero())
			}
		})
	}
	t.Run("the bounds themselves pass", func(t *testing.T) {
		for _, text := range []string{`{"a":[[[[1]]]]}`, `{"a":9007199254740991,"b":-9007199254740991,"c":1.5e3}`,
			`{"a":"` + strings.Repeat("x", 2040) + `"}`, `{"` + strings.Repeat("n", 128) + `":1}`, `{"https://example.com/role":"é"}`} {
			_, err := Parse([]byte(text))
			require.NoError(t, err, text)
		}
	})
}

func TestReservedNames(t *testing.T) {
	for name, by := range map[string]string{
		"sub": "RFC 7519 §4.1", "iss": "RFC 7519 §4.1", "aud": "RFC 7519 §4.1", "exp": "RFC 7519 §4.1", "nbf": "RFC 7519 §4.1", "iat": "RFC 7519 §4.1", "jti": "RFC 7519 §4.1",
		"active": "RFC 7662 §2.2", "scope": "RFC 7662 §2.2", "client_id": "RFC 7662 §2.2", "username": "RFC 7662 §2.2", "token_type": "RFC 7662 §2.2",
		"auth_time": "RFC 9068 §2.2.1", "acr": "RFC 9068 §2.2.1", "amr": "RFC 9068 §2.2.1", "email": "OpenID Connect Core §5.1", "name": "OpenID Connect Core §5.1",
		"cnf": "RFC 7800 §3.1", "act": "RFC 8693 §4.1", "sid": "Grantor", "rev": "Grantor", "sub_type": "Grantor", "position": "Grantor", "allowed_networks": "Grantor",
		"grantor_x": "Grantor", "__proto__": "JavaScript",
		"Sub": "RFC 7519 §4.1", "ACTIVE": "RFC 7662 §2.2", "Client_ID": "RFC 7662 §2.2", // as encoding/json reads them
	} {
		require.Equal(t, by, Reserved(name), name)
		require.True(t, IsReserved([]byte(name)), name)
		_, err := New(map[string]any{name: "x"})
		require.ErrorContains(t, err, "has a meaning by "+by+", and verifiers rely on it; choose another", name)
	}
	for _, name := range []string{"tenant_id", "role", "roles", "groups", "entitlements", "https://example.com/sub"} {
		require.NoError(t, CheckName(name), "RFC 9068 §2.2.3.1 %s", name)
		require.False(t, IsReserved([]byte(name)))
	}
}

func must(t *testing.T, values map[string]any) Set {
	t.Helper()
	s, err := New(values)
	require.NoError(t, err)
	return s
}

func TestSets(t *testing.T) {
	a, b := must(t, map[string]any{"role": "reader", "plan": 1}), must(t, map[string]any{"role": "editor"})
	require.Equal(t, `{"plan":1,"role":"editor"}`, a.With(b).String(), "the later one wins")
	require.Equal(t, a, a.With(Set{}))
	require.Equal(t, a, Set{}.With(a))
	require.Equal(t, `{"plan":1}`, a.Filter(func(n string) bool { return n != "role" }).String())
	require.Equal(t, Set{}, a.Filter(func(string) bool { return false }))
	require.Equal(t, a, a.Filter(func(string) bool { return true }))
	require.Equal(t, map[string]any{"plan": 1.0, "role": "reader"}, a.Map())
	require.Nil(t, Set{}.Map())
	require.Equal(t, `{"x":"y","role":"editor"}`, string(b.AppendMembers(make(jsonobject.Object, 0).Text("x", "y")).Close()))
	require.Equal(t, `{"role":"editor"}`, string(b.AppendMembers(nil).Close()))
	require.Equal(t, `{"x":"y"}`, string(Set{}.AppendMembers(make(jsonobject.Object, 0).Text("x", "y")).Close()))
	require.ErrorContains(t, must(t, map[string]any{"a": strings.Repeat("x", 1500)}).With(must(t, map[string]any{"b": strings.Repeat("x", 1500)})).Check(),
		"the claims are 3015 bytes of JSON, and a token carries at most 2048")
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = Set{}.With(Set{}); _ = a.With(Set{}) }), "no claims cost nothing")
}

func TestCloneSharesNothing(t *testing.T) {
	values := must(t, map[string]any{"plan": map[string]any{"seats": []int{1}}}).Map()
	clone := Clone(values)
	clone["plan"].(map[string]any)["seats"].([]any)[0] = "changed"
	require.Equal(t, map[string]any{"plan": map[string]any{"seats": []any{1.0}}}, values)
}

// FuzzParse: what Parse takes reads back as the same, stands in an object, and says what
// encoding/json reads.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, `{"a":{"b":["c",true,null]}}`, `{"a":"\ud800"}`, `{"a":1e9,"b":"\u0000"}`, `{"sub":"x"}`, `{"a":"</script>"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil || s.IsZero() {
			return
		}
		again, err := Parse([]byte(s.String()))
		require.NoError(t, err)
		require.Equal(t, s, again)
		require.LessOrEqual(t, len(s.String()), MaxBytes)
		var whole map[string]any
		require.NoError(t, json.Unmarshal(s.AppendMembers(make(jsonobject.Object, 0).Text("x", "y")).Close(), &whole))
		for name, value := range s.Map() {
			require.Equal(t, value, whole[name])
		}
	})
}
