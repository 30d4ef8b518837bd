package server

import (
	"net"
	"net/http"
	"strings"

	"github.com/grantor-auth/grantor/clients"
)

// reasonDemo is the reason of a refusal of the shipped secrets, which everybody can read.
const reasonDemo clients.Reason = "demo_client_off_loopback"

// straight says whether a request comes straight from this machine, as curl sends it to the address that serve prints. It is
// true for what looks exactly so and for nothing else: proxies name another host, speak HTTP/1.0, close their connections or
// add a field. A forwarder that changes nothing cannot be told from curl: SECURITY.md says so.
func straight(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	switch {
	case !ok || r.Host != local.String():
		return false
	case !peerOf(r).IsLoopback():
		return false
	case r.ProtoMajor == 1 && r.ProtoMinor == 0, r.Close:
		return false
	case r.URL.Host != "" || r.URL.Scheme != "": // the absolute form, which is for proxies (RFC 9112 §3.2.2)
		return false
	}
	for name, values := range r.Header {
		if !plainField(name, values) {
			return false
		}
	}
	return true
}

// plainField says whether clients send a field by themselves. All others may be a proxy's: there is no list of those.
func plainField(name string, values []string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Length", "Content-Type",
		"Expect", "Pragma", "User-Agent":
		return true
	case "Connection":
		return len(values) == 1 && strings.EqualFold(values[0], "keep-alive")
	}
	return false
}
