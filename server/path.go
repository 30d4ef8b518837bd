package server

import (
	"net/http"
	"net/url"
	"strings"
)

// PlainPath says whether a request spells its path in the one way that every reader reads alike: no
// escapes, no empty segment, no "." or "..". A proxy decides by the path, and may not take another
// spelling for ours.
func PlainPath(r *http.Request) bool {
	return r.URL.RawPath == "" && !strings.Contains(r.URL.Path, "//") && !dotted(r)
}

// dotted says whether a path has a segment "." or "..", however it is spelled.
func dotted(r *http.Request) bool {
	for segment := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		if text, err := url.PathUnescape(segment); err != nil || text == "." || text == ".." {
			return true
		}
	}
	return false
}
