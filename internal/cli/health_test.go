package cli

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answering is a listener that answers /healthz with a status.
func answering(t *testing.T, start func(http.Handler) *httptest.Server, status int) netip.AddrPort {
	t.Helper()
	s := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func TestAskAll(t *testing.T) {
	plain, secure := httptest.NewServer, httptest.NewTLSServer
	silent := httptest.NewServer(http.NotFoundHandler())
	gone := netip.MustParseAddrPort(silent.Listener.Addr().String())
	silent.Close()
	for _, test := range []struct {
		name string
		at   []netip.AddrPort
		says string // "": all is well
	}{
		{"with and without TLS", []netip.AddrPort{answering(t, plain, 200), answering(t, secure, 200)}, ""},
		{"a listener for something else beside it", []netip.AddrPort{answering(t, plain, 404), answering(t, secure, 200), answering(t, plain, 421)}, ""},
		{"nobody says that all is well", []netip.AddrPort{answering(t, plain, 404)}, "/healthz answers 404"},
		{"a listener that cannot answer", []netip.AddrPort{answering(t, plain, 200), answering(t, secure, 503)}, "/healthz answers 503"},
		{"a listener that is silent", []netip.AddrPort{answering(t, plain, 200), gone}, "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := askAll(t.Context(), test.at, "/healthz")
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestListening(t *testing.T) {
	const rest = " 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0"
	for local, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:1F90":                         "127.0.0.1:8080",
		"0AF01FAC:20FB":                         "172.31.240.10:8443",
		"00000000000000000000000000000000:1F90": "127.0.0.1:8080",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"B80D01200000000000000000010000FF:1F90": "[2001:db8::ff00:1]:8080",
		"0000000000000000FFFF00000100007F:1F90": "127.0.0.1:8080",
	} {
		at, inode, ok := listening("   0: " + local + rest)
		require.True(t, ok, local)
		require.Equal(t, want, at.String(), local)
		require.Equal(t, "4711", inode)
	}
	for _, line := range []string{
		"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		"   0: 0100007F:1F90" + strings.Replace(rest, "0A", "01", 1), // a connection
		"   0: 010000ZZ:1F90" + rest, "   0: 0100007F:XXXX" + rest, "   0: 0100:1F90" + rest,
	} {
		_, _, ok := listening(line)
		require.False(t, ok, line)
	}
}
