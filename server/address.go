package server

import (
	"net/http"
	"net/netip"

	"github.com/grantor-auth/grantor/internal/address"
)

// proxies are the peers whose X-Forwarded-For is believed.
type proxies address.Networks

// parseProxies reads addresses and networks.
func parseProxies(list []string) (proxies, error) {
	p, err := address.ParseNetworks(list)
	return proxies(p), err
}

// clientOf returns the address of a request's client: the peer, or what trusted proxies say of it.
func (p proxies) clientOf(peer netip.Addr, header http.Header) (netip.Addr, doubt) {
	return address.Networks(p).ClientOf(peer, header)
}

func peerOf(r *http.Request) netip.Addr { return address.PeerOf(r) }

// doubt says why a request's X-Forwarded-For did not lead to its client.
type doubt = address.Doubt

// The doubts.
const (
	noDoubt      = address.NoDoubt
	notTrusted   = address.NotTrusted
	notReadable  = address.NotReadable
	otherHeaders = address.OtherHeaders
)
