package users

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/scopes"
)

func TestNormalizeName(t *testing.T) {
	for in, want := range map[string]string{
		"ada":                    "ada",
		"Ada":                    "Ada", // case counts: UsernameCasePreserved
		"ada@example.com":        "ada@example.com",
		"\uff41\uff44\uff41":     "ada", // full width (RFC 8265 §3.4.2)
		"e\u0301ve":              "\u00e9ve",
		"Ada Lovelace":           "Ada Lovelace", // not of the IdentifierClass: NFC
		"\u2603":                 "\u2603",
		"\u0430\u0434\u0430":     "\u0430\u0434\u0430", // Cyrillic stays Cyrillic
		strings.Repeat("a", 256): strings.Repeat("a", 256),
	} {
		t.Run(fmt.Sprintf("RFC 8265 §3.4 %+q", in), func(t *testing.T) {
			got, err := NormalizeName(in)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct{ username, password, field string }{
		"PW-05 no name":               {"", "pw", "username"},
		"PW-05 no password":           {"ada", "", "password"},
		"PW-08 name of 257 bytes":     {strings.Repeat("a", 257), "pw", "username"},
		"PW-08 name grows by NFC":     {strings.Repeat("\U0001d160", 64), "pw", "username"},
		"PW-08 20 kB password":        {"ada", strings.Repeat("a", 20<<10), "password"},
		"PW-08 password of 1025":      {"ada", strings.Repeat("a", 1025), "password"},
		"PW-08 NUL in name":           {"a\x00da", "pw", "username"},
		"PW-08 NUL in password":       {"ada", "p\x00w", "password"},
		"App. A.15 line feed":         {"ada\n", "pw", "username"},
		"App. A.16 carriage return":   {"ada", "pw\r", "password"},
		"App. A.15 DEL":               {"ada\x7f", "pw", "username"},
		"App. A.16 not UTF-8":         {"ada", "\xff\xfe", "password"},
		"App. A.15 U+FFFE is nothing": {"a\ufffe", "pw", "username"},
		"S-11 a space before":         {" ada", "pw", "username"},
		"S-11 a space behind":         {"ada ", "pw", "username"},
		"S-11 two spaces":             {"ada  lovelace", "pw", "username"},
		"S-11 a space alone":          {" ", "pw", "username"},
		"S-11 a tab behind":           {"ada\t", "pw", "username"},
		"S-11 a tab within":           {"a\tda", "pw", "username"},
		"S-11 a no-break space":       {"ada\u00a0", "pw", "username"},
		"S-11 an ideographic space":   {"\u3000ada", "pw", "username"},
		"S-11 a zero-width space":     {"a\u200bda", "pw", "username"},
		"S-11 a soft hyphen":          {"a\u00adda", "pw", "username"},
		"S-11 a byte order mark":      {"\ufeffada", "pw", "username"},
		"S-11 a direction mark":       {"ada\u200e", "pw", "username"},
		"S-11 a line separator":       {"ada\u2028", "pw", "username"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewLogin(c.username, c.password)
			var malformed *MalformedError
			require.ErrorAs(t, err, &malformed)
			require.Equal(t, c.field, malformed.Field)
		})
	}
	t.Run("PW-08 full Unicode otherwise", func(t *testing.T) {
		l, err := NewLogin("Ada \u2603", strings.Repeat("\U0001f511", 256))
		require.NoError(t, err)
		require.Equal(t, "Ada \u2603", l.Name())
	})
}

func FuzzNormalizeName(f *testing.F) {
	for _, s := range []string{"ada", "\uff41", "e\u0301", "\u212b", "\u2603 x", "\u05d0a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := NormalizeName(text)
		if err != nil {
			return
		}
		twice, err := NormalizeName(once)
		require.NoError(t, err)
		require.Equal(t, once, twice)
	})
}

func TestNothingSecretIsPrinted(t *testing.T) {
	login, err := NewLogin("ada", "s3cr3t-word")
	require.NoError(t, err)
	u := &User{ID: "u-1", Username: "ada", Credential: NewCredential("$2b$s3cr3t-word")}
	attempt := &Attempt{login: login, user: u}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "login", login, "user", u, "attempt", attempt, "credential", u.Credential)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "login", login, "user", u, "attempt", attempt, "credential", u.Credential)
	text, err := json.Marshal([]any{u, login, attempt})
	require.NoError(t, err)
	log.Write(text)
	for _, v := range []any{login, &login, u, *u, attempt, u.Credential} {
		fmt.Fprintf(&log, "%v %+v %#v %s", v, v, v, v)
	}
	require.NotContains(t, log.String(), "s3cr3t")
}

func TestSubject(t *testing.T) {
	for _, ok := range []string{"1", "u-1", "a81bc81b-dead-4e5d-abff-90865d1e13b1", strings.Repeat("x", 255), "!~"} {
		require.NoError(t, CheckSubject(ok), ok)
	}
	for _, bad := range []string{"", " ", "a b", "a\x00", "\u00e9", "a\n", "\x01\x02", strings.Repeat("x", 256)} {
		require.Error(t, CheckSubject(bad), "%q", bad)
	}
}

func TestFingerprint(t *testing.T) {
	f, a, b := NewFingerprints([]byte("key")), NewCredential("a"), NewCredential("b")
	first := f.Of(a)
	require.NotEqual(t, first, f.Of(b))
	require.Equal(t, first, f.Of(NewCredential("a")), "nothing of another one stays")
	require.NotEqual(t, first, NewFingerprints([]byte("another")).Of(a))
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte("grantor/credential/v1\x00a"))
	require.Equal(t, mac.Sum(nil), first[:], "stored sessions hold it")
}

func TestRules(t *testing.T) {
	fallback, err := scopes.ParseRules("orders:*")
	require.NoError(t, err)
	require.Equal(t, fallback, (&User{}).Rules(fallback), "no scope of one's own: the deployment's")
	require.True(t, (&User{Scope: &scopes.Rules{}}).Rules(fallback).IsEmpty(), "an empty scope of one's own allows nothing")
	reserved, err := scopes.ParseRules("grantor:admin")
	require.NoError(t, err)
	require.Error(t, CheckScope(reserved), "grantor: scopes are never a user's")
}

func TestFoldName(t *testing.T) {
	for _, same := range [][2]string{{"Ada", "ada"}, {"\u212bngstrom", "\u00e5NGSTROM"}, {"stra\u00dfe", "STRASSE"}, {"\uff41da", "ada"},
		{"Ada Lovelace", "adalovelace"}, {"\u00e1da", "ada"}, {"a\u034fda", "ada"}, {"\u2460", "1"}} {
		require.Equal(t, foldName(same[0]), foldName(same[1]))
	}
	require.NotEqual(t, foldName("ada"), foldName("ado"))
}

func TestNormalPassword(t *testing.T) {
	for in, want := range map[string]string{
		"e\u0301t\u00e9 3000":   "\u00e9t\u00e9 3000",
		"a\u00a0b\u3000c":       "a b c",
		" Spaces stay ":         " Spaces stay ",
		"\uff41 width stays":    "\uff41 width stays",
		"a tab\tis not a space": "a tab\tis not a space", // the profile takes no control characters: as typed
	} {
		t.Run(fmt.Sprintf("RFC 8265 §4.2 %+q", in), func(t *testing.T) { require.Equal(t, want, normalPassword(in)) })
	}
	t.Run("PW-08 what NFC makes too long stays as typed", func(t *testing.T) {
		long := strings.Repeat("\U0001d160", 256)
		require.Equal(t, long, normalPassword(long))
	})
}

func TestPasswordsOfTwoKeyboards(t *testing.T) {
	const nfc, nfd = "\u00e9t\u00e9 \u00e0 la plage", "e\u0301te\u0301 a\u0300 la plage"
	check := func(hash, password string) error {
		h := staticUsers(t, ConfigUser{ID: "u-1", Username: "ada", PasswordHash: hash})
		before := h.Slots().PasswordChecks()
		_, err := verify(t.Context(), h, "ada", password)
		require.Equal(t, before+1, h.Slots().PasswordChecks(), "one attempt")
		return err
	}
	t.Run("RFC 8265 §4.2 a hash that was made here takes both", func(t *testing.T) {
		for _, typed := range []string{nfc, nfd} {
			hash, err := Hash(typed)
			require.NoError(t, err)
			require.NoError(t, check(hash, nfc))
			require.NoError(t, check(hash, nfd))
			require.ErrorIs(t, check(hash, nfd+"x"), ErrRefused)
		}
	})
	t.Run("a hash that another program made of what was typed takes what was typed", func(t *testing.T) {
		hash := newArgon2(nfd).String()
		require.NoError(t, check(hash, nfd))
		require.ErrorIs(t, check(hash, nfc), ErrRefused)
	})
	t.Run("PW-08 beyond bcrypt's 72 bytes as typed, within it normalised: compared, and never cut", func(t *testing.T) {
		typed := strings.Repeat("e\u0301", 30) // 90 bytes, 60 in NFC
		made, err := bcrypt.GenerateFromPassword([]byte(strings.Repeat("\u00e9", 30)), bcrypt.MinCost)
		require.NoError(t, err)
		require.NoError(t, check(string(made), typed))
		require.ErrorIs(t, check(string(made), typed+strings.Repeat("e\u0301", 30)), ErrRefused)
	})
	t.Run("ASVS 6.2.1 a new password is as long as its normal form", func(t *testing.T) {
		require.Error(t, CheckNewPassword("e\u0301e\u0301e\u0301e\u0301"))
	})
}
