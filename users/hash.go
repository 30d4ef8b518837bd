package users

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// passwordHash is one parsed password hash: parameters, salt and digest.
type passwordHash interface {
	// matches computes the hash of password at full cost and compares in constant time.
	matches(password string) bool
	// memory is how many bytes matches takes; 0 where it is next to nothing.
	memory() uint64
	// form names all that its cost depends on.
	form() string
	// blank returns a hash of the same cost with nobody's salt and digest.
	blank() passwordHash
}

// Bounds of what a stored hash may cost, so that whoever can write one into a table cannot stop
// the server. They lie well above what Django, PHP and OWASP use.
const (
	MaxHashMemory = 256 << 20 // bytes that one check may take
	maxHashWork   = 1 << 30   // bytes that argon2 or scrypt may touch in all passes
	maxIterations = 5_000_000 // of PBKDF2
	maxBcryptCost = 15
	maxHashText   = 512 // bytes of the encoded form
	minDigest     = 16
	maxDigest     = 64
	maxSalt       = 64
)

// errNoPassword: the entry says that nobody logs in by password (Django: set_unusable_password).
var errNoPassword = errors.New("the entry has no usable password")

// Hash returns a new password hash: argon2id in the PHC form, with a random salt, of the password
// as RFC 8265 §4.2 normalises it. Errors are those of CheckPassword.
func Hash(password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	return newArgon2(normalPassword(password)).String(), nil
}

// CheckHash says whether text is a password hash that can be checked here, and if not,
// what is wrong. The error quotes nothing of text: what stands in the wrong place may
// be the password itself.
func CheckHash(text string) error {
	_, err := parseHash(text)
	return err
}

// hashForms is the end of the sentence "a password's hash is …".
const hashForms = `"$argon2id$v=19$m=…,t=…,p=…$salt$hash" ("grantor hash-password" makes one), bcrypt ("$2b$12$…"), ` +
	`"$pbkdf2-sha256$i=…,l=…$salt$hash" and pbkdf2-sha512 of Ory, or what Django writes: pbkdf2_sha256$…, pbkdf2_sha1$…, scrypt$…, argon2$…, bcrypt_sha256$…, bcrypt$…`

// parseHash reads every supported form, by its beginning.
func parseHash(text string) (passwordHash, error) {
	if text == "" || text[0] == '!' {
		return nil, errNoPassword
	}
	if len(text) > maxHashText {
		return nil, fmt.Errorf("a password's hash has at most %d characters", maxHashText)
	}
	if strings.HasPrefix(text, "$2") {
		return parseBcrypt(text, false)
	}
	scheme, rest, _ := strings.Cut(text, "$")
	switch scheme {
	case "": // the PHC form: $argon2id$…
		if strings.HasPrefix(rest, "pbkdf2-") {
			return parsePHCPBKDF2(rest)
		}
		return parseArgon2(rest)
	case "argon2":
		return parseArgon2(rest)
	case "bcrypt":
		return parseBcrypt(rest, false)
	case "bcrypt_sha256":
		return parseBcrypt(rest, true)
	case "pbkdf2_sha256", "pbkdf2_sha1":
		return parsePBKDF2(scheme, rest)
	case "scrypt":
		return parseScrypt(rest)
	}
	return nil, errors.New("a password's hash is " + hashForms)
}

// formError says what is wrong with a hash of a known scheme, without quoting it.
func formError(scheme, format string, args ...any) error {
	return fmt.Errorf("%s hash: %s", scheme, fmt.Sprintf(format, args...))
}

// number reads a decimal parameter without sign, at most limit.
func number(text string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > limit {
		return 0, fmt.Errorf("a parameter must be a number from 1 to %d", limit)
	}
	return n, nil
}
