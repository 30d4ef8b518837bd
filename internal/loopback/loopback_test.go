package loopback_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/loopback"
)

func TestHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.8.9.10": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example.com": false, "127.0.0.1.nip.io": false, "0.0.0.0": false, "::": false,
		"10.0.0.1": false, "192.0.2.1": false, "fe80::1": false, "::ffff:192.0.2.1": false, "auth.example.com": false,
		"0177.0.0.1": false, "127.1": false, "2130706433": false, "[::1]": false, "127.0.0.1:80": false,
	} {
		require.Equal(t, want, loopback.Host(host), host)
	}
}

func TestSecure(t *testing.T) {
	for text, want := range map[string]bool{
		"https://auth.example.com": true, "https://10.0.0.1:8443/path": true, "https://localhost": true,
		"http://localhost:8080": true, "http://127.0.0.1": true, "http://[::1]:8080/x": true, "http://[::ffff:127.0.0.1]": true,
		"http://auth.example.com": false, "http://10.0.0.1": false, "http://0.0.0.0:8080": false, "http://[::]": false,
		"http://localhost@evil.example.com": false, "http://localhost.evil.example.com": false, "http://127.0.0.1.nip.io": false,
		"ftp://localhost": false, "ws://127.0.0.1": false, "//localhost": false, "localhost:8080": false, "/path": false, "": false,
	} {
		u, err := url.Parse(text)
		require.NoError(t, err)
		require.Equal(t, want, loopback.Secure(u), "RFC 6749 §3.1.2.1 %q", text)
	}
}
