package clients

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllowedNetworks(t *testing.T) {
	of := func(list ...string) (*Client, error) {
		r := Registration{ID: "c", AllowedNetworks: list}
		return r.Client()
	}
	for name, c := range map[string]struct {
		list []string
		want string
	}{
		"host bits say the network":         {[]string{"10.0.0.7/8"}, `"10.0.0.7/8" has bits behind its prefix: the network is 10.0.0.0/8`},
		"host bits of IPv6":                 {[]string{"2001:db8::1/32"}, `"2001:db8::1/32" has bits behind its prefix: the network is 2001:db8::/32`},
		"a zone":                            {[]string{"fe80::1%eth0"}, `"fe80::1%eth0" has a zone, which no other machine knows: leave the zone out`},
		"a zone of a network":               {[]string{"fe80::%eth0/64"}, `"fe80::%eth0/64" has a zone, which no other machine knows: leave the zone out`},
		"a name":                            {[]string{"10.0.0.0/8", "office"}, `"office" is neither a network such as 10.0.0.0/8 nor an address`},
		"an empty text":                     {[]string{""}, `"" is neither a network such as 10.0.0.0/8 nor an address`},
		"a prefix that is too long":         {[]string{"10.0.0.0/33"}, `"10.0.0.0/33" is neither a network such as 10.0.0.0/8 nor an address`},
		"a mapped network wider than IPv4":  {[]string{"::/0", "::ffff:0:0/90"}, `"::ffff:0:0/90" has bits behind its prefix: the network is ::ffc0:0:0/90`},
		"an empty list":                     {[]string{}, "the list is empty: name a network, or leave the member out to allow every address"},
		"more networks than a client needs": {make([]string, MaxNetworks+1), "101 networks, at most 100 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := of(c.list...)
			require.EqualError(t, err, "allowed_networks: "+c.want)
		})
	}
	allowed := func(t *testing.T, address string, list ...string) bool {
		t.Helper()
		c, err := of(list...)
		require.NoError(t, err)
		a := netip.Addr{}
		if address != "" {
			a = netip.MustParseAddr(address)
		}
		return c.AllowsAddress(a)
	}
	t.Run("without networks every address is allowed, an unknown one too", func(t *testing.T) {
		require.True(t, allowed(t, "192.0.2.1"))
		require.True(t, allowed(t, ""))
	})
	t.Run("networks and addresses of both kinds", func(t *testing.T) {
		list := []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120", "::ffff:203.0.113.9"}
		for address, want := range map[string]bool{
			"10.255.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false, "2001:db8:1::1": true, "2001:db9::1": false,
			"198.51.100.200": true, "198.51.101.1": false, "203.0.113.9": true, "::1": false, "": false,
		} {
			require.Equal(t, want, allowed(t, address, list...), address)
		}
		require.False(t, allowed(t, "::1", "0.0.0.0/0"), "IPv6 is not IPv4")
	})
	t.Run("of a client whose list was never read, no address is allowed", func(t *testing.T) {
		c := &Client{Registration: Registration{AllowedNetworks: []string{"10.0.0.0/8"}}}
		require.False(t, c.AllowsAddress(netip.MustParseAddr("10.0.0.1")))
	})
}
