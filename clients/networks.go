package clients

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/grantor-auth/grantor/internal/address"
)

// MaxNetworks is how many networks a client may be allowed.
const MaxNetworks = 100

// parseNetworks reads allowed_networks: networks such as 10.0.0.0/8, or single addresses. An empty
// list is refused, because it could mean every address as well as none.
func parseNetworks(list []string) (address.Networks, error) {
	switch {
	case list == nil:
		return nil, nil
	case len(list) == 0:
		return nil, errors.New("the list is empty: name a network, or leave the member out to allow every address")
	case len(list) > MaxNetworks:
		return nil, fmt.Errorf("%d networks, at most %d are allowed", len(list), MaxNetworks)
	}
	networks := make(address.Networks, 0, len(list))
	for _, text := range list {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// parseNetwork reads one network. IPv4 in IPv6's form becomes IPv4, as the address of a request
// does.
func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		one, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return network, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", text)
		case one.Zone() != "":
			return network, fmt.Errorf("%q has a zone, which no other machine knows: leave the zone out", text)
		}
		network = netip.PrefixFrom(one, one.BitLen())
	}
	if masked := network.Masked(); masked != network {
		return network, fmt.Errorf("%q has bits behind its prefix: the network is %s", text, masked)
	}
	if network.Addr().Is4In6() { // and so of 96 bits at least
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network, nil
}

// AllowsAddress says whether the client may authenticate from an address without zone, in which
// IPv4 has its own form. An address that nobody knows is in no network.
func (c *Client) AllowsAddress(a netip.Addr) bool {
	if len(c.networks) == 0 {
		return len(c.AllowedNetworks) == 0 // of a client that no Registration made, nothing was read
	}
	return c.networks.Contain(a)
}
