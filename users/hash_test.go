package users

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	staple = "correct horse battery staple"
	umlaut = "p\u00e4ssw\u00f6rd \u2603 e\u0301" // the last two runes are not in NFC
)

// knownHashes were written by Django 3.2 with argon2-cffi 21.1 and bcrypt 3.2, by these two
// libraries alone, and (scrypt) by hashlib in the layout of Django 5 and by Django's own tests.
func knownHashes() []struct{ hash, password string } {
	return []struct{ hash, password string }{
		{"pbkdf2_sha256$10000$c9KOeptjmi55LNmWoA7sLU$pk76ukEtxiWpICbr/XbshhWgq/4KW9RnJwAz4Ari9nU=", staple},
		{"pbkdf2_sha256$10000$hDaHprFwiiuFIcInesDlfx$1mrfisn+y3uEEnhvV5b+kLu9gcH6JMACdHcgk4fl7F0=", umlaut},
		{"pbkdf2_sha256$260000$ZR0nliUOHanB66YhMxRzF3$eIGz2eBRkxQW0ojf3/GXV6TCKlURHSUe4CO81Iep/b4=", staple},
		{"pbkdf2_sha1$10000$vCDcllmrQKmMdZpe3voErM$xMWgXb5yvLzaWA5D6+8vOi0Z4Zs=", staple},
		{"pbkdf2_sha1$10000$5OeadzXeV9lqrwrXK4f5AH$F8W0REYubkl/13BJ2nOBE+o3pHE=", umlaut},
		{"argon2$argon2id$v=19$m=102400,t=2,p=8$T3FYb3ZmekxDYVh0emdwbFpQYlBlTw$E2Rw+inE9qWvceOQpb0kmQ", staple},
		{"argon2$argon2id$v=19$m=102400,t=2,p=8$TzNFRGtRTmozeHdpUFVGZXhQbnVESg$Jy5JAHFWxMJ8bQAabkoEoQ", umlaut},
		{"bcrypt_sha256$$2b$06$pN8bTii36kMHaGbxHxtpZOFkfI6tu6jWg7CdqVaJBkrT02TlwVI6O", staple},
		{"bcrypt_sha256$$2b$06$pxTCvmu/mttA1D9ghmG2KeB42xPwTs0grjdzXXGMupH3tu468W0Bm", umlaut},
		{"bcrypt$$2b$06$8fVM.zUkXLbDQfV4KH7Umew/OUPn.tCgobgB5NhnQTjchhErjQLI2", staple},
		{"bcrypt$$2b$06$Z1OkmGYxJybOVCx1pFpqIuA2Nr.hj7zZsHqpeGv6bAkncdq5qJRCK", umlaut},
		{"$2a$06$a6i7DYu8GR22fEUopxDM3e7g0lC2vHz5UcB1DB4/MOZt8lkVSfRs6", staple},
		{"$2y$06$a6i7DYu8GR22fEUopxDM3e7g0lC2vHz5UcB1DB4/MOZt8lkVSfRs6", staple},
		{"$2b$04$aQugPkpLbA2yTcPkopCXWOefV6rIeHtk4jxmlvCOCtOy02cdPp0gm", strings.Repeat("a", 72)},
		{"$argon2i$v=19$m=4096,t=3,p=2$8ObBQ2+vDEGHOfrCIfFYxg$Yi5vCyVCAYy8sz2iHVgC8A", staple},
		{"$argon2id$v=19$m=4096,t=3,p=2$Wfie3K/mNZ31Nm89sOcOJg$VvRnPQxCIJy2OVnCzfAd1Q", staple},
		{"scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==", "l\u00e8tmein"},
		{"scrypt$16384$NaClNaClNaClNaClNaCl42$8$5$d5j4su8kFWGFVOvQ14r1nNXKKKXykuuA4cVgescsR1CVU4/Usp0cLJNFxm4vSFU9hZPow09gzsEreMGx3/YlmQ==", staple},
	}
}

func TestKnownHashes(t *testing.T) {
	for _, k := range knownHashes() {
		t.Run(k.hash, func(t *testing.T) {
			h, err := parseHash(k.hash)
			require.NoError(t, err)
			require.True(t, h.matches(k.password))
			require.False(t, h.matches(k.password+"x"))
			require.False(t, h.matches(""))
			blank := h.blank()
			require.Equal(t, h.form(), blank.form(), "S-02: a dummy costs what the real one costs")
			require.False(t, blank.matches(k.password))
		})
	}
}

func TestHash(t *testing.T) {
	a, err := Hash(umlaut)
	require.NoError(t, err)
	b, err := Hash(umlaut)
	require.NoError(t, err)
	require.NotEqual(t, a, b, "the salt is random")
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[^$]{22}\$[^$]{43}$`, a)
	h, err := parseHash(a)
	require.NoError(t, err)
	require.True(t, h.matches("p\u00e4ssw\u00f6rd \u2603 \u00e9"), "RFC 8265 §4.2: what is hashed is normalised")
	require.False(t, h.matches(umlaut), "a hash compares bytes")
	require.Equal(t, ownForm().form(), h.form())

	_, err = Hash("")
	require.Error(t, err)
	_, err = Hash(strings.Repeat("a", MaxPasswordBytes+1))
	require.Error(t, err)
}

func TestCheckHashRefuses(t *testing.T) {
	salt16, digest32 := "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	bcrypt53 := strings.Repeat("a", 53)
	for name, text := range map[string]string{
		"nothing":                  "",
		"Django's unusable":        "!Vc2pLTa57hdXm1T58L9eT0uGsONVuMJiiaqRZDXC",
		"a password":               "hunter2hunter2",
		"a client's form":          "sha256:" + strings.Repeat("0", 64),
		"md5":                      "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
		"plain sha1":               "sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
		"argon2d":                  "$argon2d$v=19$m=4096,t=3,p=2$9YUrbwTWdnoxiVhEq0I0rw$UIxFnGcukjNEGATg1DsMiA",
		"argon2 version 16":        "$argon2id$v=16$m=4096,t=3,p=1$" + salt16 + "$" + digest32,
		"argon2 without version":   "$argon2id$m=4096,t=3,p=1$" + salt16 + "$" + digest32,
		"argon2 memory bomb":       "$argon2id$v=19$m=4194304,t=1,p=1$" + salt16 + "$" + digest32,
		"argon2 time bomb":         "$argon2id$v=19$m=65536,t=60,p=1$" + salt16 + "$" + digest32,
		"argon2 overflow":          "$argon2id$v=19$m=18446744073709551615,t=1,p=1$" + salt16 + "$" + digest32,
		"argon2 zero time":         "$argon2id$v=19$m=4096,t=0,p=1$" + salt16 + "$" + digest32,
		"argon2 too little memory": "$argon2id$v=19$m=8,t=1,p=2$" + salt16 + "$" + digest32,
		"argon2 other order":       "$argon2id$v=19$t=2,m=4096,p=1$" + salt16 + "$" + digest32,
		"argon2 short digest":      "$argon2id$v=19$m=4096,t=3,p=1$" + salt16 + "$AAAAAAAA",
		"argon2 no digest":         "$argon2id$v=19$m=4096,t=3,p=1$" + salt16 + "$",
		"argon2 short salt":        "$argon2id$v=19$m=4096,t=3,p=1$AAAA$" + digest32,
		"argon2 padded":            "$argon2id$v=19$m=4096,t=3,p=1$" + salt16 + "==$" + digest32,
		"bcrypt of 2x":             "$2x$06$" + bcrypt53,
		"bcrypt cost 31":           "$2b$31$" + bcrypt53,
		"bcrypt cost 03":           "$2b$03$" + bcrypt53,
		"bcrypt cost 00":           "$2b$00$" + bcrypt53,
		"bcrypt cut":               "$2b$06$" + bcrypt53[1:],
		"bcrypt alphabet":          "$2b$06$" + bcrypt53[1:] + "=",
		"bcrypt_sha256 empty":      "bcrypt_sha256$",
		"pbkdf2 bomb":              "pbkdf2_sha256$2000000000$salt$pk76ukEtxiWpICbr/XbshhWgq/4KW9RnJwAz4Ari9nU=",
		"pbkdf2 negative":          "pbkdf2_sha256$-1$salt$pk76ukEtxiWpICbr/XbshhWgq/4KW9RnJwAz4Ari9nU=",
		"pbkdf2 no salt":           "pbkdf2_sha256$10000$$pk76ukEtxiWpICbr/XbshhWgq/4KW9RnJwAz4Ari9nU=",
		"pbkdf2 empty digest":      "pbkdf2_sha256$10000$salt$",
		"pbkdf2 sha1's digest":     "pbkdf2_sha256$10000$salt$xMWgXb5yvLzaWA5D6+8vOi0Z4Zs=",
		"scrypt memory bomb":       "scrypt$1048576$salt$64$1$" + strings.Repeat("A", 86) + "==",
		"scrypt time bomb":         "scrypt$262144$salt$8$64$" + strings.Repeat("A", 86) + "==",
		"scrypt n no power":        "scrypt$16385$salt$8$1$" + strings.Repeat("A", 86) + "==",
		"scrypt n 1":               "scrypt$1$salt$8$1$" + strings.Repeat("A", 86) + "==",
		"too long":                 "pbkdf2_sha256$10000$" + strings.Repeat("a", 600) + "$x",
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckHash(text)
			require.Error(t, err)
			if len(text) > 12 {
				require.NotContains(t, err.Error(), text[len(text)-12:], "nothing of it is quoted")
			}
		})
	}
}

func TestBcryptIsNeverCut(t *testing.T) {
	t.Run("PW-08 73 bytes do not match their first 72", func(t *testing.T) {
		h, err := parseHash("$2b$04$aQugPkpLbA2yTcPkopCXWOefV6rIeHtk4jxmlvCOCtOy02cdPp0gm")
		require.NoError(t, err)
		require.True(t, h.matches(strings.Repeat("a", 72)))
		require.False(t, h.matches(strings.Repeat("a", 73)))
		require.False(t, h.matches(strings.Repeat("a", 72)+"b"))
	})
	t.Run("PW-08 bcrypt_sha256 knows no limit", func(t *testing.T) {
		h, err := parseHash("bcrypt_sha256$$2b$06$pN8bTii36kMHaGbxHxtpZOFkfI6tu6jWg7CdqVaJBkrT02TlwVI6O")
		require.NoError(t, err)
		require.False(t, h.matches(strings.Repeat("a", 100)))
	})
}

func FuzzParseHash(f *testing.F) {
	for _, k := range knownHashes() {
		f.Add(k.hash)
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		require.Equal(t, h.form(), h.blank().form())
	})
}
