package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// KnownHost says whether the Host of a request for a listener of the operator is this machine, an
// address, or one of names. It defends against DNS rebinding: a page in an operator's browser sends
// its own name, never an address.
func KnownHost(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	if _, err := netip.ParseAddr(host); err == nil || host == "" { // "": HTTP/1.0, which no browser speaks
		return true
	}
	same := func(name string) bool { return strings.EqualFold(strings.TrimSuffix(name, "."), host) }
	return same("localhost") || slices.ContainsFunc(names, same)
}

// GuardHost answers 421 to requests whose Host is not known; see KnownHost. key names what the
// operator has to set.
func GuardHost(names []string, key string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if KnownHost(r.Host, names) || isProbe(r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMisdirectedRequest)
		answer := newAnswer().Text("error", codeInvalidRequest).Text("error_description", misdirected(key))
		_, _ = w.Write(answer.Close())
	})
}

func misdirected(key string) string {
	return "this listener is not known by the name in the Host header; if it should be, set " + key
}

// isProbe says whether a path is for balancers, which send any Host.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// KnownAdminHost is KnownHost for the admin listener.
func (s *Server) KnownAdminHost(host string) bool { return KnownHost(host, s.adminHosts) }

// guardHost is GuardHost for the admin listener, in the one voice that answers there.
func (s *Server) guardHost(c *gin.Context) {
	if !s.KnownAdminHost(c.Request.Host) && !isProbe(c.Request.URL.Path) {
		s.refuse(exchangeFrom(c.Request.Context()), &Error{Code: codeInvalidRequest, Status: http.StatusMisdirectedRequest,
			Reason: "host_unknown", Description: misdirected("[admin] url")})
		c.Abort()
	}
}

// adminURL is the URL by which a client reaches the admin listener: the configured one, else the
// address at which the request arrived, if its Host says the same. An unverified Host never becomes
// part of an answer.
func (s *Server) adminURL(r *http.Request) (string, error) {
	if s.cfg.AdminURL != "" {
		return s.cfg.AdminURL, nil
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	own := ok && (r.Host == local.String() ||
		local.IP.IsLoopback() && strings.EqualFold(r.Host, "localhost:"+port(local)))
	switch {
	case own && r.TLS != nil:
		return "https://" + r.Host, nil
	case own && local.IP.IsLoopback():
		return "http://" + r.Host, nil
	}
	return "", &Error{Code: codeInvalidRequest, Status: http.StatusMisdirectedRequest, Reason: "host_unknown",
		Description: "this server does not know the URL of its registration endpoint: set [admin] url " +
			"(RFC 7592 §3)"}
}

func port(a *net.TCPAddr) string {
	_, text, _ := net.SplitHostPort(a.String())
	return text
}

// adminHostNames are the names of the admin listener.
func adminHostNames(cfg Config) []string {
	names := cfg.AdminHosts
	if u, err := url.Parse(cfg.AdminURL); err == nil && u.Host != "" {
		names = append(slices.Clone(names), u.Hostname())
	}
	return names
}
