package dpop

import (
	"errors"
	"net/url"
	"strings"
)

// errNoURL is the error for what is no http or https URL with a host. It quotes nothing.
var errNoURL = errors.New("not an absolute http or https URL")

// NormalURL returns a URL in the form in which URLs are compared (RFC 9449 §4.3, RFC 3986 §6.2.2,
// §6.2.3): without query and fragment, scheme and host in lower case, no default port, percent
// codes in upper case and only where needed, no dot segments, "/" for no path.
func NormalURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", errNoURL
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // in lower case already
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", errNoURL
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":") + NormalPath(u.EscapedPath()), nil
}

// NormalPath is the path of a URL as NormalURL has it. The argument is escaped, as
// url.URL.EscapedPath returns it.
func NormalPath(escaped string) string {
	if plainPath(escaped) {
		return escaped
	}
	return withoutDots(normalEscapes(escaped))
}

// plainPath says whether nothing needs to be done, which is nearly always so.
func plainPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "%") && !strings.Contains(path, "/.")
}

// normalEscapes decodes what need not be escaped, and writes the rest in upper case (RFC 3986
// §6.2.2.1, §6.2.2.2). The path is a valid one.
func normalEscapes(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		code := strings.ToUpper(path[i : i+3])
		if c, err := url.PathUnescape(code); err == nil && unreserved(c[0]) {
			code = c
		}
		b.WriteString(code)
		i += 2
	}
	return b.String()
}

// unreserved is RFC 3986 §2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// withoutDots removes dot segments (RFC 3986 §5.2.4) and makes an empty path "/".
func withoutDots(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "." || s == "..":
			if s == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/")
}
