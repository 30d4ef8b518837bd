package gate

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/grantor-auth/grantor/internal/address"
)

// Proxies are those whose X-Forwarded-For says from where a request comes. The peer of a check is
// always a proxy, so without them the address of a client is not known.
type Proxies struct {
	networks address.Networks
	unix     bool
}

// unixProxy stands for the proxy at a Unix socket.
const unixProxy = "unix"

// ParseProxies reads addresses and networks, and "unix".
func ParseProxies(list []string) (p Proxies, err error) {
	p.unix = slices.Contains(list, unixProxy)
	list = slices.DeleteFunc(slices.Clone(list), func(text string) bool { return text == unixProxy })
	p.networks, err = address.ParseNetworks(list)
	return p, err
}

// clientOf returns the address of the request's client; not valid: no trusted proxy says it.
func (p Proxies) clientOf(r *http.Request) netip.Addr {
	peer, believed := address.PeerOf(r), p.networks
	if !peer.IsValid() && p.unix {
		peer = netip.IPv4Unspecified() // the address of no client
		believed = append(slices.Clone(believed), netip.PrefixFrom(peer, peer.BitLen()))
	}
	if !believed.Contain(peer) || len(r.Header["X-Forwarded-For"]) == 0 {
		return netip.Addr{}
	}
	from, doubt := believed.ClientOf(peer, r.Header)
	if doubt != address.NoDoubt {
		return netip.Addr{}
	}
	return from
}
