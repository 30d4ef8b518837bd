package server

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/grantor-auth/grantor/clients"
)

// reasonDemo is the reason of a refusal of the shipped secrets, which are public.
const reasonDemo clients.AuthReason = "demo_client_off_loopback"

// straight says whether a request comes straight from this machine, as curl sends it to the address
// that serve prints. A proxy differs somewhere: another Host, HTTP/1.0, a closed connection,
// another header, another user. SECURITY.md names the forwarder that does not.
func (s *Server) straight(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && unforwarded(r, local.String()) && !s.peers.anotherUsers(r.RemoteAddr, local.String())
}

// unforwarded says whether a request looks as a client of this machine writes it. local is the
// address that received the request.
func unforwarded(r *http.Request, local string) bool {
	switch {
	case r.Host != local, !peerOf(r).IsLoopback():
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

// plainField says whether clients send a header field by themselves. Any other field may be a
// proxy's.
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

// peerUsers remembers whose the connections to this machine are. To find it out takes a walk
// through all connections of the machine: milliseconds where there are many.
type peerUsers struct {
	*lru.Cache[[2]string, peerUser]
}

type peerUser struct {
	another bool
	until   time.Time
}

// The user of a connection does not change. The time is for ports that are used again.
const (
	maxPeerUsers = 256
	peerUserTTL  = time.Second
)

func newPeerUsers() (peerUsers, error) {
	c, err := lru.New[[2]string, peerUser](maxPeerUsers)
	return peerUsers{c}, err
}

// anotherUsers is ofAnotherUser, asked once a second for each connection.
func (p peerUsers) anotherUsers(peer, local string) bool {
	sides, now := [2]string{peer, local}, time.Now()
	if found, ok := p.Get(sides); ok && now.Before(found.until) {
		return found.another
	}
	another := ofAnotherUser(peer, local)
	p.Add(sides, peerUser{another, now.Add(peerUserTTL)})
	return another
}

// ofAnotherUser says whether a peer on this machine runs as another user than this process, as
// installed proxies do. Only Linux tells; elsewhere it is false.
func ofAnotherUser(peer, local string) bool {
	from, err1 := netip.ParseAddrPort(peer)
	to, err2 := netip.ParseAddrPort(local)
	if err1 != nil || err2 != nil {
		return true
	}
	if text, err := os.ReadFile("/proc/net/tcp"); err == nil && from.Addr().Is4() {
		if uid, found := userOf(string(text), from, to); found {
			return uid != os.Getuid()
		}
	}
	text, err := os.ReadFile("/proc/net/tcp6") // of IPv4 too, where the peer's socket serves both
	if err != nil {
		return false
	}
	uid, found := userOf(string(text), in6(from), in6(to))
	return found && uid != os.Getuid()
}

// in6 writes an address of IPv4 in IPv6's form.
func in6(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// userOf finds the user of a connection in Linux's table (proc_net_tcp): fields two and three of a
// line are the sides, field eight is the user.
func userOf(table string, from, to netip.AddrPort) (uid int, found bool) {
	ours, theirs := inTable(from), inTable(to)
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 7 && f[1] == ours && f[2] == theirs {
			uid, err := strconv.Atoi(f[7])
			return uid, err == nil
		}
	}
	return 0, false
}

// inTable writes an address as words of 32 bits in the machine's order.
func inTable(a netip.AddrPort) string {
	var b strings.Builder
	for bytes := a.Addr().AsSlice(); len(bytes) > 0; bytes = bytes[4:] {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(bytes))
	}
	return fmt.Sprintf("%s:%04X", b.String(), a.Port())
}
