package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/lockout"
)

func TestClientAddress(t *testing.T) {
	p, err := parseProxies([]string{"10.0.0.0/8", "2001:db8:ffff::/48", "::ffff:192.168.1.0/120", "fe80::1%eth0"})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		peer  string
		lines []string
		want  string
		why   doubt
	}{
		"a stranger is not believed":                {"192.0.2.1", []string{"203.0.113.7"}, "192.0.2.1", notTrusted},
		"a stranger without the header":             {"192.0.2.1", nil, "192.0.2.1", noDoubt},
		"one proxy":                                 {"10.0.0.1", []string{"203.0.113.7"}, "203.0.113.7", noDoubt},
		"what the client wrote stands left of it":   {"10.0.0.1", []string{"1.1.1.1, 203.0.113.7"}, "203.0.113.7", noDoubt},
		"HAProxy adds a line of its own":            {"10.0.0.1", []string{"1.1.1.1", "203.0.113.7"}, "203.0.113.7", noDoubt},
		"three lines":                               {"10.0.0.1", []string{"1.1.1.1", "203.0.113.7", "10.0.0.2"}, "203.0.113.7", noDoubt},
		"two proxies":                               {"10.0.0.1", []string{"1.1.1.1, 203.0.113.7, 10.0.0.2"}, "203.0.113.7", noDoubt},
		"all of them are proxies":                   {"10.0.0.1", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3", noDoubt},
		"a proxy that sends none":                   {"10.0.0.1", nil, "10.0.0.1", noDoubt},
		"an empty line":                             {"10.0.0.1", []string{""}, "10.0.0.1", noDoubt},
		"RFC 9110 §5.6.1 empty members":             {"10.0.0.1", []string{" , 203.0.113.7 , ,", ""}, "203.0.113.7", noDoubt},
		"IPv4 with a port (Azure)":                  {"10.0.0.1", []string{"203.0.113.7:51234"}, "203.0.113.7", noDoubt},
		"IPv6":                                      {"10.0.0.1", []string{"2001:db8::7"}, "2001:db8::7", noDoubt},
		"IPv6 in brackets":                          {"10.0.0.1", []string{"[2001:db8::7]"}, "2001:db8::7", noDoubt},
		"IPv6 with a port":                          {"10.0.0.1", []string{"[2001:db8::7]:443"}, "2001:db8::7", noDoubt},
		"IPv6 with a zone":                          {"10.0.0.1", []string{"fe80::7%eth0"}, "fe80::7", noDoubt},
		"IPv6 with a zone and a port":               {"10.0.0.1", []string{"[fe80::7%eth0]:443"}, "fe80::7", noDoubt},
		"IPv4 in IPv6's form":                       {"10.0.0.1", []string{"::ffff:203.0.113.7"}, "203.0.113.7", noDoubt},
		"IPv4 as a translator shows it":             {"10.0.0.1", []string{"64:ff9b::cb00:7107"}, "203.0.113.7", noDoubt},
		"a proxy in IPv6's form":                    {"::ffff:10.0.0.1", []string{"203.0.113.7, ::ffff:10.9.9.9"}, "203.0.113.7", noDoubt},
		"a network in IPv6's form":                  {"192.168.1.9", []string{"203.0.113.7"}, "203.0.113.7", noDoubt},
		"a proxy of a zone":                         {"fe80::1%eth1", []string{"203.0.113.7"}, "203.0.113.7", noDoubt},
		"a proxy of IPv6":                           {"2001:db8:ffff::1", []string{"203.0.113.7, [2001:db8:ffff::2]:80"}, "203.0.113.7", noDoubt},
		"garbage":                                   {"10.0.0.1", []string{"unknown"}, "10.0.0.1", notReadable},
		"garbage left of the client":                {"10.0.0.1", []string{"<script>, 203.0.113.7"}, "203.0.113.7", noDoubt},
		"garbage behind a proxy: the last good one": {"10.0.0.1", []string{"203.0.113.7, _hidden, 10.0.0.2"}, "10.0.0.2", notReadable},
		"a Unix socket behind a proxy":              {"10.0.0.1", []string{"203.0.113.7, unix:"}, "10.0.0.1", notReadable},
		"IPv4 in brackets":                          {"10.0.0.1", []string{"[203.0.113.7]"}, "10.0.0.1", notReadable},
		"a port alone":                              {"10.0.0.1", []string{":80"}, "10.0.0.1", notReadable},
		"a name":                                    {"10.0.0.1", []string{"localhost"}, "10.0.0.1", notReadable},
		"a number that some read as an address":     {"10.0.0.1", []string{"010.0.0.1"}, "10.0.0.1", notReadable},
		"10,000 hops are not read to their end":     {"10.0.0.1", []string{"203.0.113.7" + strings.Repeat(",10.0.0.2", 10_000)}, "10.0.0.2", noDoubt},
		"10,000 lines likewise":                     {"10.0.0.1", append([]string{"203.0.113.7"}, strings.Split(strings.Repeat(",", 10_000), ",")...), "10.0.0.1", noDoubt},
		"a Unix socket is nobody's address":         {"", []string{"203.0.113.7"}, "invalid IP", notTrusted},
	} {
		t.Run("S-18 V-29 "+name, func(t *testing.T) {
			at, why := p.clientOf(peerOf(&http.Request{RemoteAddr: remote(c.peer)}), http.Header{"X-Forwarded-For": c.lines})
			require.Equal(t, c.want, at.String())
			require.Equal(t, c.why, why)
		})
	}
	t.Run("S-18 SB-05 no other header is read", func(t *testing.T) {
		for _, name := range []string{"X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Appengine-Remote-Addr", "Fastly-Client-Ip",
			"X-Azure-Clientip", "X-Envoy-External-Address", "X-Original-Forwarded-For"} {
			at, _ := p.clientOf(netip.MustParseAddr("10.0.0.1"), http.Header{name: {"203.0.113.7"}})
			require.Equal(t, "10.0.0.1", at.String(), name)
		}
		_, why := p.clientOf(netip.MustParseAddr("10.0.0.1"), http.Header{"X-Real-Ip": {"203.0.113.7"}})
		require.Equal(t, otherHeaders, why)
	})
	t.Run("S-18 the peer of a program that serves in another way", func(t *testing.T) {
		for text, want := range map[string]string{"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1", "[::1]": "::1", "@": "invalid IP", "": "invalid IP", "/run/x": "invalid IP"} {
			require.Equal(t, want, peerOf(&http.Request{RemoteAddr: text}).String(), text)
		}
	})
}

func remote(peer string) string {
	switch {
	case strings.Contains(peer, ":"):
		return "[" + peer + "]:4711"
	case peer == "":
		return "@"
	}
	return peer + ":4711"
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		address string
		bits    int
		network string
		coarse  string
	}{
		{"192.0.2.7", 64, "192.0.2.7", "192.0.2.0/24"},
		{"::ffff:192.0.2.7", 64, "192.0.2.7", "192.0.2.0/24"},
		{"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"2001:db8:1:2:3:4:5:6", 56, "2001:db8:1::/56", "2001:db8:1::/48"},
		{"2001:db8:1:2:3:4:5:6", 32, "2001:db8::/32", "2001:db8::/32"},
		{"2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6/128", "2001:db8:1::/48"},
		{"", 64, "unknown", ""},
	} {
		a, _ := address.ParseHop(c.address)
		x := &exchange{address: a, ipv6Prefix: c.bits}
		require.Equal(t, c.network, x.network(), c.address)
		require.Equal(t, c.coarse, x.coarseNetwork(), c.address)
	}
}

// FuzzClientOf: whatever a header holds, an address that a stranger wrote is never taken for the
// client's.
func FuzzClientOf(f *testing.F) {
	f.Add("1.1.1.1", "203.0.113.7, 10.0.0.2")
	f.Add("[::1]:80, ::ffff:10.0.0.1", "%, ,")
	p, err := parseProxies([]string{"10.0.0.0/8"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, theirs, more string) {
		at, _ := p.clientOf(netip.MustParseAddr("10.0.0.1"), http.Header{"X-Forwarded-For": {theirs, more, "198.51.100.1"}})
		require.Equal(t, "198.51.100.1", at.String(), "what stands left of the first address that is no proxy's")
		at, _ = p.clientOf(netip.MustParseAddr("198.51.100.1"), http.Header{"X-Forwarded-For": {theirs, more}})
		require.Equal(t, "198.51.100.1", at.String())
	})
}

func TestWarningsOfForwarding(t *testing.T) {
	f := start(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	f.call(t, "GET", "/healthz", "", "X-Forwarded-For: 203.0.113.7")
	require.NotContains(t, f.log.String(), "trusted_proxies", "a proxy that is believed is not warned of")
	for range 3 {
		f.call(t, "GET", "/healthz", "", "X-Forwarded-For: 203.0.113.7, unknown")
		f.call(t, "GET", "/healthz", "", "X-Real-Ip: 203.0.113.7")
	}
	require.Equal(t, 1, strings.Count(f.log.String(), "sends an invalid address in X-Forwarded-For"))
	require.Equal(t, 1, strings.Count(f.log.String(), "sends X-Real-IP or Forwarded; both are ignored"))
	require.NotContains(t, f.log.String(), `"203.0.113.7, unknown"`)

	f = start(t)
	for range 3 {
		f.call(t, "GET", "/healthz", "", "X-Forwarded-For: 203.0.113.7")
	}
	require.Equal(t, 1, strings.Count(f.log.String(), "the peer is not in trusted_proxies"))
	require.Contains(t, f.log.String(), `trusted_proxies = [\"127.0.0.1\"]`)

	var d doubted
	said := 0
	for i := range 10_000 {
		if d.first(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), notTrusted) {
			said++
		}
	}
	require.Equal(t, maxDoubted, said)
}

func TestGuessesCountByNetwork(t *testing.T) {
	const form = "grant_type=password&client_id=mobile&username="
	from := func(format string, i int) string { return "X-Forwarded-For: " + fmt.Sprintf(format, i) }
	t.Run("S-13 guesses from one /64 count as of one address", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) {
			c.TrustedProxies = []string{"127.0.0.1"}
			c.Lockout = lockout.New(lockout.NewMemory(), -1, 3, time.Minute)
		})
		for i := range 3 {
			refused(t, f.post(t, tokP, "", form+"nobody&password=x", from("2001:db8:0:1:%x::1", i)), 400, codeInvalidGrant)
		}
		refused(t, f.post(t, tokP, "", form+"nobody&password=x", from("2001:db8:0:1:ffff::%d", 1)), http.StatusTooManyRequests, codeInvalidGrant)
		refused(t, f.post(t, tokP, "", form+"nobody&password=x", from("2001:db8:0:2::%d", 1)), 400, codeInvalidGrant)
	})
	t.Run("S-13 the prefix is the operator's word", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) {
			c.TrustedProxies, c.IPv6Prefix = []string{"127.0.0.1"}, 48
			c.Lockout = lockout.New(lockout.NewMemory(), -1, 1, time.Minute)
		})
		refused(t, f.post(t, tokP, "", form+"nobody&password=x", from("2001:db8:0:%d::1", 1)), 400, codeInvalidGrant)
		refused(t, f.post(t, tokP, "", form+"nobody&password=x", from("2001:db8:0:%d::1", 2)), http.StatusTooManyRequests, codeInvalidGrant)
	})
	t.Run("S-15 an owner's known address survives a privacy address (RFC 8981)", func(t *testing.T) {
		f, _ := startPeople(t, func(c *Config) {
			c.TrustedProxies = []string{"127.0.0.1"}
			c.Lockout = lockout.New(lockout.NewMemory(), 3, 100, time.Minute)
		})
		right := form + "ada&password=" + url.QueryEscape(adaPassword)
		require.Equal(t, 200, f.post(t, tokP, "", right, from("2001:db8:0:1::%d", 1)).status)
		for range 4 {
			f.post(t, tokP, "", form+"ada&password=wrong", from("2001:db8:0:9::%d", 1))
		}
		refused(t, f.post(t, tokP, "", right, from("2001:db8:0:9::%d", 2)), 400, codeInvalidGrant)
		require.Equal(t, 200, f.post(t, tokP, "", right, from("2001:db8:0:1:%x::1", 0xbeef)).status)
	})
	t.Run("CA-16 S-10 wrong secrets likewise", func(t *testing.T) {
		f := start(t, func(c *Config) {
			c.TrustedProxies = []string{"127.0.0.1"}
			c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 3, time.Minute)
		})
		for i := range 3 {
			refused(t, f.post(t, tokP, "app:wrong", ask, from("2001:db8:0:1::%d", i)), 401, codeInvalidClient)
		}
		refused(t, f.post(t, tokP, "app:wrong", ask, from("2001:db8:0:1::%d", 4)), http.StatusTooManyRequests, codeInvalidClient)
	})
}

func TestAddressOverTLS(t *testing.T) {
	f := start(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run("S-18 "+version+" over TLS reads the same lines", func(t *testing.T) {
			over := httptest.NewUnstartedServer(f.server)
			over.EnableHTTP2 = http2
			over.StartTLS()
			defer over.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, over.URL+tokP, strings.NewReader(ask))
			require.NoError(t, err)
			req.Header = http.Header{"X-Forwarded-For": {"1.1.1.1", "203.0.113.7:4711"}, "X-Real-Ip": {"2.2.2.2"}}
			res, err := over.Client().Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, version, res.Proto)
			require.Regexp(t, `"request_id":"`+res.Header.Get("X-Request-Id")+`".*"peer":"203.0.113.7"`, f.log.String())
		})
	}
}
