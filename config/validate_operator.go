package config

import (
	"fmt"
	"net/url"
	"strings"
)

// operator checks what is there for the operator: listeners, trail, traces.
func (d *decoder) operator() {
	c := d.cfg
	d.listenAddress("metrics.listen", c.Metrics.Listen)
	d.listenAddress("admin.listen", c.Admin.Listen)
	if c.Metrics.PProf && c.Metrics.Listen == "" {
		d.clash([]string{"metrics.pprof", "metrics.listen"}, "needs [metrics] listen: it is served beside /metrics and nowhere else")
	}
	if c.Admin.Listen != "" && c.Store == StoreMemory {
		d.clash([]string{"admin.listen", "store"}, `needs store = "redis": with "memory" there is no registry to manage`)
	}
	if c.Audit.Output == "redis" && c.Store == StoreMemory {
		d.clash([]string{"audit.output", "store"}, `"redis" needs store = "redis"`)
	}
	if e := c.Tracing.Endpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			d.bad("tracing.otlp_endpoint", `must be a URL that takes OTLP over HTTP, such as "http://127.0.0.1:4318/v1/traces"`)
		}
	}
	for i, o := range c.CORS.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
			d.bad(fmt.Sprintf("cors.origins[%d]", i), `must be an origin such as "https://app.example.com": scheme, host, port, no path; "*" is not taken`)
		}
	}
}

// listenAddress refuses what is no address, and the public one: Linux would let two listeners of one address fail at start only.
func (d *decoder) listenAddress(key, addr string) {
	if addr == "" {
		return
	}
	if !isAddress(addr) {
		d.bad(key, `must be host:port, such as "127.0.0.1:9090"`)
		return
	}
	if addr == d.cfg.Listen && !strings.HasSuffix(addr, ":0") {
		d.clash([]string{key, "listen"}, "is the public listener: it must have one of its own")
	}
}
