package scopes

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// CheckResource says whether text can name a resource server: an absolute URI
// without a fragment (RFC 8707 §2).
func CheckResource(text string) error {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || (u.Host == "" && u.Opaque == "") || strings.Contains(text, "#") {
		return errors.New(`a resource is an absolute URI without a fragment, as in "https://orders.example.com"`)
	}
	for i := range len(text) {
		if text[i] <= 0x20 || text[i] >= 0x7f || text[i] == '"' || text[i] == '\\' {
			return errors.New("a resource holds printable ASCII without spaces, quotes or backslashes")
		}
	}
	return nil
}

// CheckAudienceName says whether text can be an aud that is no URI, such as "rabbitmq": printable
// ASCII without spaces, quotes, backslashes, and without a colon, which makes it a URI (RFC 7519
// §2).
func CheckAudienceName(text string) error {
	if text == "" || len(text) > maxAudienceName {
		return fmt.Errorf("a name of an audience has 1 to %d characters", maxAudienceName)
	}
	if CheckToken(text) != nil || strings.Contains(text, ":") {
		return errors.New("a name of an audience holds printable ASCII without spaces, quotes, " +
			"backslashes and colons; what has a colon is a URI (RFC 7519 §2)")
	}
	return nil
}

const maxAudienceName = 255 // bytes

// CheckAudience says whether text can be in the aud of a token: an absolute URI without a fragment,
// or a name that NewCatalogue was given.
func (c *Catalogue) CheckAudience(text string) error {
	if c != nil && slices.Contains(c.names, text) {
		return nil
	}
	err := CheckResource(text)
	if err != nil && CheckAudienceName(text) == nil {
		return fmt.Errorf(`%w; where a verifier demands the name %q, permit it: [tokens] audience_names = [%q]`, err, text, text)
	}
	return err
}

// firstOf has, for each resource as normal spells it, the first scope that names it, and the first
// that says its typ.
type firstOf struct{ resource, typ map[string]string }

// checkOneSpelling refuses scopes of one resource that spell it differently: a token would name it
// in one of the ways, and most verifiers compare byte for byte (RFC 7519 §2).
func (c *Catalogue) checkOneSpelling(name, resource string, first firstOf) error {
	other, there := first.resource[normal(resource)]
	if !there {
		first.resource[normal(resource)] = name
		return nil
	}
	if is := c.scopes[other].Resource; is != resource {
		return fmt.Errorf("names the same resource as %q of the scope %q (RFC 3986 §6.2): write both alike", is, other)
	}
	return nil
}

// SameResource says whether two texts name one resource server. They are compared as URIs by RFC
// 3986 §6.2.2, and those of http and https by RFC 3986 §6.2.3 too: "HTTPS://a.example:443/" names
// what "https://a.example" names. A slash at the end of a longer path makes another resource. Texts
// that are no absolute URIs are the same only byte for byte. It is a deviation from RFC 7519 §2,
// which compares byte for byte.
func SameResource(a, b string) bool { return a == b || normal(a) == normal(b) }

// Names says whether an audience names a resource server, see SameResource.
func Names(audience []string, resource string) bool {
	if len(audience) == 0 || slices.Contains(audience, resource) { // nearly all
		return len(audience) > 0
	}
	wanted := normal(resource)
	return slices.ContainsFunc(audience, func(one string) bool { return normal(one) == wanted })
}

// AddResource returns the audience with a resource that it did not name.
func AddResource(audience []string, resource string) []string {
	if Names(audience, resource) {
		return audience
	}
	return append(audience, resource)
}

// normal returns the one spelling of a URI that SameResource compares. It is for comparing alone.
func normal(text string) string {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || !isScheme(scheme) {
		return text
	}
	scheme = lower(scheme)
	hierarchy, query, hasQuery := strings.Cut(normalEscapes(rest), "?")
	authority, path, hasAuthority := cutAuthority(hierarchy)
	if hasAuthority {
		path = withoutDots(path)
	}
	if port := defaultPort(scheme); port != "" && hasAuthority {
		authority = strings.TrimSuffix(strings.TrimSuffix(authority, port), ":")
		if path == "" {
			path = "/"
		}
	}
	text = scheme + ":"
	if hasAuthority {
		text += "//" + authority
	}
	if text += path; hasQuery {
		text += "?" + query
	}
	return text
}

// isScheme says whether text is a scheme (RFC 3986 §3.1).
func isScheme(text string) bool {
	for i, c := range []byte(text) {
		if !isLetter(c) && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return text != ""
}

// defaultPort is the end of an authority that says what the scheme says already (RFC 3986 §6.2.3).
func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return ":443"
	case "http":
		return ":80"
	}
	return ""
}

// cutAuthority divides what stands behind the scheme into authority and path. The host of the
// authority is in lower case then (RFC 3986 §6.2.2.1), a user name is not.
func cutAuthority(text string) (authority, path string, ok bool) {
	text, ok = strings.CutPrefix(text, "//")
	if !ok {
		return "", text, false
	}
	if i := strings.IndexByte(text, '/'); i >= 0 {
		text, path = text[:i], text[i:]
	}
	i := strings.LastIndexByte(text, '@') + 1
	return text[:i] + lower(text[i:]), path, true
}

// normalEscapes decodes the escapes of unreserved characters and writes the others in upper case
// (RFC 3986 §6.2.2.1, §6.2.2.2). A text with a broken escape stays as it is.
func normalEscapes(text string) string {
	if !strings.Contains(text, "%") { // nearly all
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b = append(b, text[i])
			continue
		}
		if i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2]) {
			return text
		}
		c := unhex(text[i+1])<<4 | unhex(text[i+2])
		if isUnreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, strings.ToUpper(text[i:i+3])...)
		}
		i += 2
	}
	return string(b)
}

// withoutDots is remove_dot_segments for a path behind an authority (RFC 3986 §5.2.4).
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") { // nearly all
		return path
	}
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		case ".":
		default:
			kept = append(kept, s)
			continue
		}
		if last { // the folder itself
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// lower folds ASCII alone: in Unicode a Kelvin sign is a k.
func lower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func isUnreserved(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
