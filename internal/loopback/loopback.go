// Package loopback knows which hosts are this machine, and so to which URLs a secret may be sent:
// by https to any host, by http to this machine alone (RFC 6749 §3.1.2.1, RFC 7662 §4).
package loopback

import (
	"net/netip"
	"net/url"
)

// Host says whether a host name or IP address, without port and brackets, is this machine:
// "localhost", 127.0.0.0/8 or ::1. No other name is resolved: what it resolves to may change
// between the check and the connection.
func Host(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Secure says whether nobody on the network can read what is sent to u: it is https, or http to
// this machine.
func Secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && Host(u.Hostname())
}
