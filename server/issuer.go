package server

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckIssuer says whether text can name a server (RFC 8414 §2). Its path stands before those of
// the endpoints, byte for byte: it must hold nothing that a router or a proxy reads in another way.
func CheckIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || u.Host == "" || u.User != nil ||
		strings.ContainsAny(text, "#?") || strings.HasSuffix(text, "/") {
		return errors.New("must be an absolute URL without query, fragment or final slash (RFC 8414 §2)")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has port %s, which does not exist", port)
		}
	}
	for _, part := range strings.Split(u.EscapedPath(), "/")[1:] {
		if slices.Contains([]string{"", ".", "..", ".well-known"}, part) || strings.Trim(part, unreserved) != "" {
			return fmt.Errorf("has the path %q: its parts must be of letters, digits and \"-._~\", "+
				"and not empty, \".\", \"..\" or \".well-known\"", u.EscapedPath())
		}
	}
	return nil
}

// unreserved are the characters of a URL that mean nothing but themselves (RFC 3986 §2.3).
const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
