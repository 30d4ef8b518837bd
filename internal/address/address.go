// Package address says from where a request comes: by its peer, and by X-Forwarded-For where a
// trusted proxy wrote it. Every address that decides something is read here.
package address

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Networks are addresses and networks, such as those of proxies whose X-Forwarded-For is believed.
type Networks []netip.Prefix

// ParseNetworks reads addresses and networks.
func ParseNetworks(list []string) (Networks, error) {
	var p Networks
	for _, text := range list {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			network = netip.PrefixFrom(Plain(address), Plain(address).BitLen())
		}
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		p = append(p, network.Masked())
	}
	return p, nil
}

// Contain says whether an address is in one of the networks.
func (p Networks) Contain(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Strings returns the networks in their one form, as CIDR.
func (p Networks) Strings() []string {
	list := make([]string, len(p))
	for i, network := range p {
		list[i] = network.String()
	}
	return list
}

// maxHops is how many entries of X-Forwarded-For are read.
const maxHops = 64

// ClientOf returns the address of a request's client: the peer, or what trusted proxies say of it.
// All lines of X-Forwarded-For are one list (RFC 9110 §5.3), read from the right while the writers
// are trusted. No other header is read.
func (p Networks) ClientOf(peer netip.Addr, header http.Header) (netip.Addr, Doubt) {
	lines := header["X-Forwarded-For"]
	switch {
	case !p.Contain(peer) && len(lines) > 0:
		return peer, NotTrusted
	case !p.Contain(peer):
		return peer, NoDoubt
	case len(lines) == 0 && (len(header["X-Real-Ip"]) > 0 || len(header["Forwarded"]) > 0):
		return peer, OtherHeaders
	}
	at, hops := peer, 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; hops++ {
			if !p.Contain(at) || hops == maxHops {
				return at, NoDoubt
			}
			comma := strings.LastIndexByte(rest, ',')
			text := strings.Trim(rest[comma+1:], " \t")
			rest, more = rest[:max(comma, 0)], comma >= 0
			if text == "" { // RFC 9110 §5.6.1
				continue
			}
			hop, ok := ParseHop(text)
			if !ok {
				return at, NotReadable
			}
			at = hop
		}
	}
	return at, NoDoubt
}

// ParseHop reads an address as proxies write it: alone, in brackets, with a port, with a zone.
func ParseHop(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return Plain(a), true
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return Plain(a.Addr()), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			a, err := netip.ParseAddr(inner)
			return Plain(a), err == nil && a.Is6()
		}
	}
	return netip.Addr{}, false
}

// Plain is an address without zone. IPv4 in IPv6's form becomes IPv4: mapped (RFC 4291 §2.5.5.2),
// or as a translator shows it (RFC 6052 §2.1), behind which all of IPv4 would be one network.
func Plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if b := a.As16(); a.Is6() && [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b} {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// PeerOf is the address of whoever opened the connection. It is not valid for a Unix socket.
func PeerOf(r *http.Request) netip.Addr {
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return Plain(a.Addr())
	}
	a, _ := ParseHop(r.RemoteAddr)
	return a
}

// Doubt says why a request's X-Forwarded-For did not lead to its client.
type Doubt int

// The doubts.
const (
	NoDoubt      Doubt = iota
	NotTrusted         // the peer is not in trusted_proxies
	NotReadable        // a trusted proxy wrote an entry that is no address
	OtherHeaders       // a trusted proxy sent none, but a header that is not read
)

// Hides says whether the client is another than the address that was found: a trusted proxy passed
// its request on, and did not say readably from where it came. What is allowed from some networks
// alone is not allowed then: all that comes by this proxy would be.
func (d Doubt) Hides() bool { return d == NotReadable || d == OtherHeaders }
