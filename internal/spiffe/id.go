// Package spiffe reads SPIFFE IDs, the names of workloads in SPIFFE: spiffe://example.org/billing
// is the workload /billing of the trust domain example.org (SPIFFE-ID §2).
package spiffe

import (
	"errors"
	"strings"
)

// Scheme is how a SPIFFE ID begins.
const Scheme = "spiffe://"

// Bounds of SPIFFE-ID §2.4, in bytes.
const (
	maxID          = 2048
	maxTrustDomain = 255
)

// ID is the name of a workload, or of a trust domain.
type ID struct {
	TrustDomain string // "example.org"
	Path        string // "/billing"; "" names the trust domain itself
}

// Errors of Parse. They quote nothing.
var (
	errScheme = errors.New("a SPIFFE ID begins with spiffe://, in lower case (SPIFFE-ID §2)")
	errLength = errors.New("a SPIFFE ID has at most 2048 bytes, and its trust domain 255 (SPIFFE-ID §2.4)")
	errDomain = errors.New("a trust domain holds lower-case letters, digits, dots, dashes and underscores, " +
		"and neither port nor user (SPIFFE-ID §2.1)")
	errPath = errors.New("the path of a SPIFFE ID has segments of letters, digits, dots, dashes and underscores, " +
		"none of them empty, . or .., and no slash at its end (SPIFFE-ID §2.2)")
)

// Parse reads a SPIFFE ID. There is one text for each ID, so texts may be compared byte by byte.
func Parse(text string) (ID, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok {
		return ID{}, errScheme
	}
	domain, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		domain, path = rest[:i], rest[i:]
	}
	switch {
	case len(text) > maxID || len(domain) > maxTrustDomain:
		return ID{}, errLength
	case domain == "" || strings.ContainsFunc(domain, func(r rune) bool { return !inDomain(r) }):
		return ID{}, errDomain
	case !isPath(path):
		return ID{}, errPath
	}
	return ID{domain, path}, nil
}

// IsTrustDomain says whether text is the SPIFFE ID of a trust domain, as in "spiffe://example.org".
func IsTrustDomain(text string) bool {
	id, err := Parse(text)
	return err == nil && id.Path == ""
}

// Authority is the SPIFFE ID of the trust domain.
func (id ID) Authority() string { return Scheme + id.TrustDomain }

func isPath(path string) bool {
	if path == "" {
		return true
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." ||
			strings.ContainsFunc(segment, func(r rune) bool { return !inDomain(r) && (r < 'A' || r > 'Z') }) {
			return false
		}
	}
	return true
}

func inDomain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}
