package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// proxies are the peers whose X-Forwarded-For is believed.
type proxies []netip.Prefix

// parseProxies reads addresses and networks.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	for _, text := range list {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			network = netip.PrefixFrom(plain(address), plain(address).BitLen())
		}
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		p = append(p, network.Masked())
	}
	return p, nil
}

func (p proxies) trust(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// maxHops is how many entries of X-Forwarded-For are read.
const maxHops = 64

// doubt says why a request's X-Forwarded-For did not lead to its client.
type doubt int

// The doubts.
const (
	noDoubt      doubt = iota
	notTrusted         // the peer is not in trusted_proxies
	notReadable        // a trusted proxy wrote an entry that is no address
	otherHeaders       // a trusted proxy sent none, but a header that is not read
)

// clientOf returns the address of a request's client: the peer, or what trusted proxies say of it. Each proxy appends the
// address of its own peer, in the same line or in one of its own, so all lines are one list (RFC 9110 §5.3) that is read from
// the right while its writers are trusted. What a client wrote itself stands left of that. No other header is read.
func (p proxies) clientOf(peer netip.Addr, header http.Header) (netip.Addr, doubt) {
	lines := header["X-Forwarded-For"]
	switch {
	case !p.trust(peer) && len(lines) > 0:
		return peer, notTrusted
	case !p.trust(peer):
		return peer, noDoubt
	case len(lines) == 0 && (len(header["X-Real-Ip"]) > 0 || len(header["Forwarded"]) > 0):
		return peer, otherHeaders
	}
	at, hops := peer, 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; hops++ {
			if !p.trust(at) || hops == maxHops {
				return at, noDoubt
			}
			comma := strings.LastIndexByte(rest, ',')
			text := strings.Trim(rest[comma+1:], " \t")
			rest, more = rest[:max(comma, 0)], comma >= 0
			if text == "" { // RFC 9110 §5.6.1
				continue
			}
			hop, ok := parseHop(text)
			if !ok {
				return at, notReadable
			}
			at = hop
		}
	}
	return at, noDoubt
}

// parseHop reads an address as proxies write it: alone, in brackets, with a port (Azure), with a zone.
func parseHop(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return plain(a), true
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return plain(a.Addr()), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			a, err := netip.ParseAddr(inner)
			return plain(a), err == nil && a.Is6()
		}
	}
	return netip.Addr{}, false
}

// plain is an address without zone, and in IPv4's form where it is one of IPv4: mapped (RFC 4291 §2.5.5.2), or as a
// translator shows it (RFC 6052 §2.1), behind which all of IPv4 would be one network.
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if b := a.As16(); a.Is6() && [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b} {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// peerOf is the address of whoever opened the connection. It is not valid for a Unix socket.
func peerOf(r *http.Request) netip.Addr {
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return plain(a.Addr())
	}
	a, _ := parseHop(r.RemoteAddr)
	return a
}

// clientIP is the address that a request comes from, as logs and the audit trail show it.
func (x *exchange) clientIP() string {
	if !x.address.IsValid() {
		return "unknown"
	}
	if x.peer == "" {
		x.peer = x.address.String()
	}
	return x.peer
}

// network is what counts as one address: whoever has an IPv6 address has a whole network of them.
func (x *exchange) network() string {
	if x.address.Is4() || !x.address.IsValid() {
		return x.clientIP()
	}
	network, err := x.address.Prefix(x.ipv6Prefix)
	if err != nil {
		return x.clientIP()
	}
	return network.String()
}

// coarseNetwork tells a user's devices apart and does not follow people: sessions show it, and repeated refreshes are
// compared by it. It is never finer than what counts as one address.
func (x *exchange) coarseNetwork() string {
	bits := 24
	if x.address.Is6() {
		bits = min(48, x.ipv6Prefix)
	}
	network, err := x.address.Prefix(bits)
	if err != nil || !network.IsValid() {
		return ""
	}
	return network.String()
}

// maxDoubted is of how many peers is said why their headers are not believed.
const maxDoubted = 32

// doubted remembers of whom was said what.
type doubted struct {
	mu   sync.Mutex
	seen map[doubtOf]struct{}
}

type doubtOf struct {
	peer netip.Addr
	why  doubt
}

// first says whether this was not said before. It stops at maxDoubted.
func (d *doubted) first(peer netip.Addr, why doubt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[doubtOf]struct{}{}
	}
	if _, said := d.seen[doubtOf{peer, why}]; said || len(d.seen) >= maxDoubted {
		return false
	}
	d.seen[doubtOf{peer, why}] = struct{}{}
	return true
}

// warnOfForwarding says, once for each peer, why its clients count as one address.
func (s *Server) warnOfForwarding(x *exchange, peer netip.Addr, why doubt) {
	if !s.doubted.first(peer, why) {
		return
	}
	shown := "a Unix socket"
	if peer.IsValid() {
		shown = peer.String()
	}
	message, cure := "X-Forwarded-For is not believed: the peer is not in trusted_proxies", fmt.Sprintf("if it is your proxy: trusted_proxies = [%q]", shown)
	switch {
	case why == notReadable:
		message, cure = "X-Forwarded-For of a trusted proxy has an entry that is no address", "let the proxy append the address of its peer"
	case why == otherHeaders:
		message, cure = "a trusted proxy sends X-Real-IP or Forwarded, which are not read", "let the proxy append to X-Forwarded-For"
	case !peer.IsValid():
		cure = "let the proxy connect by TCP"
	}
	s.log.WarnContext(x, message, "peer", shown, "hint", cure, "request_id", x.id)
}
