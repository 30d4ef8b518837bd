package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
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

// clientOf returns the address of a request's client: the peer, or what trusted proxies say of it.
// All lines of X-Forwarded-For are one list (RFC 9110 §5.3), read from the right while the writers
// are trusted. No other header is read.
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

// parseHop reads an address as proxies write it: alone, in brackets, with a port, with a zone.
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

// plain is an address without zone. IPv4 in IPv6's form becomes IPv4: mapped (RFC 4291 §2.5.5.2),
// or as a translator shows it (RFC 6052 §2.1), behind which all of IPv4 would be one network.
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

// doubt says why a request's X-Forwarded-For did not lead to its client.
type doubt int

// The doubts.
const (
	noDoubt      doubt = iota
	notTrusted         // the peer is not in trusted_proxies
	notReadable        // a trusted proxy wrote an entry that is no address
	otherHeaders       // a trusted proxy sent none, but a header that is not read
)
