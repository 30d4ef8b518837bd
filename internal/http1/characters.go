package http1

import "strings"

// Where a character may stand. Each set is a part of what the RFCs allow.
const (
	inPath  = 1 << iota // unreserved characters (RFC 3986 §2.3) and "/"
	inQuery             // those of RFC 3986 §3.4, escapes included
	inName              // of a field: letters, digits, "-" and "_" (RFC 9110 §5.1)
	inValue             // visible ASCII, space and tab (RFC 9110 §5.5)
	inHost              // letters, digits, and what addresses and ports need
	inToken             // what RFC 9110 §5.6.2 allows
)

// allowed says for each byte where the byte may stand.
var allowed = func() (k [256]uint8) {
	for c := range k {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80 || '0' <= c && c <= '9'
		if letter || strings.IndexByte("-._~/", byte(c)) >= 0 {
			k[c] |= inPath
		}
		if letter || strings.IndexByte("-._~/?:@!$&'()*+,;=%", byte(c)) >= 0 {
			k[c] |= inQuery
		}
		if letter || c == '-' || c == '_' {
			k[c] |= inName
		}
		if c >= 0x20 && c < 0x7f || c == '\t' {
			k[c] |= inValue
		}
		if letter || strings.IndexByte("-._:[]", byte(c)) >= 0 {
			k[c] |= inHost
		}
		if letter || strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0 {
			k[c] |= inToken
		}
	}
	return k
}()

// consists says whether every byte of text may stand in a place.
func consists(text string, of uint8) bool {
	for i := range len(text) {
		if allowed[text[i]]&of == 0 {
			return false
		}
	}
	return true
}

// isToken says whether text may be the name of a field (RFC 9110 §5.6.2).
func isToken(text string) bool { return text != "" && consists(text, inToken) }
