package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"

	"github.com/grantor-auth/grantor/internal/loopback"
)

// operator checks what is there for the operator: listeners, trail, traces.
func (d *decoder) operator() {
	c := d.cfg
	d.listenAddress("metrics.listen", c.Metrics.Listen)
	d.listenAddress("admin.listen", c.Admin.Listen)
	d.adminURL()
	d.console()
	for i, host := range c.Metrics.Hosts {
		if host == "" || strings.ContainsAny(host, "/:[]@ *") {
			d.bad(fmt.Sprintf("metrics.hosts[%d]", i), `must be a name such as "grantor-1", without scheme, port and wildcard`)
		}
	}
	d.perClient()
	if c.Metrics.PProf && c.Metrics.Listen == "" {
		d.clash([]string{"metrics.pprof", "metrics.listen"}, "needs [metrics] listen: pprof is served on that listener only")
	}
	if c.Admin.Listen != "" && c.Store == StoreMemory {
		d.clash([]string{"admin.listen", "store"}, `needs store = "redis": with "memory" clients cannot be registered`)
	}
	if c.Audit.Output == "redis" && c.Store == StoreMemory {
		d.clash([]string{"audit.output", "store"}, `"redis" needs store = "redis"`)
	}
	if e := c.Tracing.Endpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			d.bad("tracing.otlp_endpoint", `must be a URL that takes OTLP over HTTP, such as "http://127.0.0.1:4318"`)
		}
	}
	for i, h := range c.CORS.Headers {
		if !headerName(h) {
			d.bad(fmt.Sprintf("cors.headers[%d]", i), `must be the name of a header, such as "x-tenant"; "*" is not allowed`)
		}
	}
	for i, o := range c.CORS.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
			d.bad(fmt.Sprintf("cors.origins[%d]", i), `must be an origin such as "https://app.example.com": scheme, host, port, no path; "*" is not allowed`)
		}
	}
}

// headerName says whether a text can name a header field (RFC 9110 §5.6.2).
func headerName(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c <= 0x20 || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}*`, c) >= 0 {
			return false
		}
	}
	return text != ""
}

// exposedWarnings are about secrets that every user of this machine can read.
func (d *decoder) exposedWarnings() (list []string) {
	for _, key := range d.inline {
		f := d.where[key]
		if f == nil || key == "redis.url" && !strings.Contains(string(d.cfg.Redis.URL), "@") {
			continue // a variable took its place, or it holds no password
		}
		if info, err := os.Stat(f.name); err == nil && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows" {
			list = append(list, fmt.Sprintf("%s: %s is a secret in a file that everybody on this machine can read: chmod o-r, or let %s_file name a file", f.name, key, key))
		}
	}
	return list
}

// listenAddress refuses what is no address, and what another listener takes: without this, two of
// one address would fail at the start.
func (d *decoder) listenAddress(key, addr string) {
	if addr == "" {
		return
	}
	if !isAddress(addr) {
		d.bad(key, `must be host:port, such as "127.0.0.1:9090"`)
		return
	}
	if collide(addr, d.cfg.Listen) {
		d.clash([]string{key, "listen"}, "the public listener has the same address: set another")
	}
	if key == "admin.listen" && collide(addr, d.cfg.Metrics.Listen) {
		d.clash([]string{key, "metrics.listen"}, "the metrics listener has the same address: set another")
	}
	d.transport(key, addr)
}

// collide says whether two listeners cannot be open at once: they have one port, and one address
// or all.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil {
		return false
	}
	numberA, errA := net.LookupPort("tcp", portA)
	numberB, errB := net.LookupPort("tcp", portB)
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return errA == nil && errB == nil && numberA == numberB && numberA != 0 && (hostA == hostB || every(hostA) || every(hostB))
}

// transport refuses a listener that others can reach without TLS (RFC 6749 §3.2). All listeners
// have this one rule.
func (d *decoder) transport(key, addr string) {
	if d.cfg.TLS.Mode == "" && !onLoopback(addr) && !d.cfg.Trial {
		d.clash([]string{key, "tls.mode"}, `off loopback needs [tls] mode = "files", or "proxy" if a proxy serves TLS (RFC 6749 §3.2)`)
	}
}

// adminURL checks the URL that registered clients receive (RFC 7592 §3).
func (d *decoder) adminURL() {
	text := d.cfg.Admin.URL
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(text, "?#") || u.User != nil || strings.HasSuffix(text, "/"):
		d.bad("admin.url", `must be a URL without query, fragment and final slash, such as "https://grantor-admin.example.com"`)
	case !loopback.Secure(u):
		d.bad("admin.url", "must begin with https:// off loopback: tokens must not travel in clear (RFC 7591 §5)")
	}
}

// operatorWarnings are of the operator's listeners.
func (d *decoder) operatorWarnings() (list []string) {
	c := d.cfg
	if c.Admin.Listen != "" && c.Admin.URL == "" && !onLoopback(c.Admin.Listen) {
		list = append(list, "admin.url is not set: registration (RFC 7591) works only under the address of admin.listen")
	}
	if c.Metrics.PProf && !onLoopback(c.Metrics.Listen) {
		list = append(list, "metrics.pprof is on off loopback: everybody who reaches metrics.listen can read the memory of this process with its secrets")
	}
	return list
}
