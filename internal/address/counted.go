package address

import "net/netip"

// Counted is the text by which limits count an address: the address itself, and of IPv6 the network
// of so many bits, for whoever has an address of IPv6 has a whole network of them.
func Counted(a netip.Addr, ipv6Prefix int) string {
	if a.Is4() {
		return a.String()
	}
	network, err := a.Prefix(ipv6Prefix)
	if err != nil {
		return a.String()
	}
	return network.String()
}
