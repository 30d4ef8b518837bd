package jwt

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// dialControl returns a net.Dialer's Control that refuses private and reserved addresses. It sees
// the address after name resolution, so a name that resolves differently the second time does not
// help.
func dialControl() func(network, address string, _ syscall.RawConn) error {
	refused := reserved()
	return func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return err
		}
		return checkAddress(addr, refused)
	}
}

// checkAddress refuses what is not on the public internet.
func checkAddress(addr netip.Addr, refused []netip.Prefix) error {
	addr = addr.Unmap()
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(addr) { // RFC 6052 §2.1: it is this IPv4 address
		whole := addr.As16()
		addr = netip.AddrFrom4([4]byte(whole[12:]))
	}
	public6 := netip.MustParsePrefix("2000::/3")     // IANA has given out nothing else
	private := addr.Is6() && !public6.Contains(addr) // which is so for every address with a zone
	for _, p := range refused {
		private = private || p.Contains(addr)
	}
	if private {
		return errors.New("the address is loopback, private or reserved: keys are not fetched from it")
	}
	return nil
}

// reserved lists the special-purpose addresses of the IANA registries (RFC 6890) that lie within
// what checkAddress else lets through.
func reserved() (list []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4", // multicast, reserved, broadcast
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", // Teredo and its kin, documentation, 6to4
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}
