// Package printable makes texts of users safe to read on a terminal: it escapes control
// characters and direction marks, which make a terminal show another text, and redacts secrets
// that were typed in the place of a name.
package printable

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrNotPrintable: a name contains control characters, line breaks or direction marks.
var ErrNotPrintable = errors.New("must hold no control characters, line breaks or direction marks")

// CheckName says whether a text may be a displayed name. The joiners of Persian, Indic
// scripts and emoji are allowed.
func CheckName(text string) error {
	if !utf8.ValidString(text) {
		return ErrNotPrintable
	}
	for _, r := range text {
		if r == '\u200c' || r == '\u200d' { // ZWNJ and ZWJ
			continue
		}
		if !unicode.IsPrint(r) {
			return ErrNotPrintable
		}
	}
	return nil
}

// Text is a text that is safe on a terminal: characters that are not visible are escaped.
// Line breaks are escaped too.
func Text(text string) string {
	if plain(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// plain says that a text is printable ASCII, as nearly all are.
func plain[T string | []byte](text T) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// Lines is Text that keeps line breaks.
func Lines(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = Text(l)
	}
	return strings.Join(lines, "\n")
}

// Cell is Text, cut to a number of characters.
func Cell(text string, most int) string {
	text = Text(text)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// JSON is JSON with the same meaning in which only line breaks and characters that show
// themselves stand unescaped: encoding/json leaves direction marks and the control characters
// from U+007F on as they are.
func JSON(text []byte) []byte {
	if plainLines(text) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r) && (r != utf8.RuneError || n > 1):
			out = append(out, text[i:i+n]...)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
		i += n
	}
	return out
}

func plainLines(text []byte) bool {
	for _, c := range text {
		if (c < 0x20 || c > 0x7e) && c != '\n' {
			return false
		}
	}
	return true
}

// Redact removes Grantor's own tokens and secrets from a text, whole or cut: a user may have put
// one where a name belongs.
func Redact(text string) string {
	at := secretAt(text)
	if at < 0 {
		return text
	}
	var b strings.Builder
	for ; at >= 0; at = secretAt(text) {
		b.WriteString(text[:at+prefixLength])
		b.WriteString("[redacted]")
		text = text[at+prefixLength:]
		text = text[len(text)-len(strings.TrimLeft(text, base62)):]
	}
	b.WriteString(text)
	return b.String()
}

const (
	prefixLength = len("gcs_")
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// secretAt finds the first secret in a text; -1: there is none.
func secretAt(text string) int {
	for i := 0; i+prefixLength < len(text); i++ {
		if text[i] != 'g' || text[i+3] != '_' || strings.IndexByte(base62, text[i+4]) < 0 {
			continue
		}
		switch text[i+1 : i+3] {
		case "at", "rt", "cs", "rg", "ak":
			return i
		}
	}
	return -1
}

// RedactTyped is Redact for a text that quotes what somebody typed: it also removes API keys of
// other servers (tokens.ParseForeignKey), whose form an ordinary name may have.
func RedactTyped(text string) string {
	text = Redact(text)
	var b strings.Builder
	for text != "" {
		n := len(text) - len(strings.TrimLeft(text, base62+"."))
		prefix, secret, dot := strings.Cut(text[:n], ".")
		if dot && len(prefix) >= 1 && len(prefix) <= 8 && len(secret) >= 22 && !strings.Contains(secret, ".") && strings.ContainsAny(secret, "0123456789") {
			b.WriteString(prefix + ".[redacted]")
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
		n = strings.IndexAny(text, base62)
		if n < 0 {
			n = len(text)
		}
		b.WriteString(text[:n])
		text = text[n:]
	}
	return b.String()
}
