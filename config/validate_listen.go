package config

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/loopback"
)

// onLoopback says whether only this machine can reach a listener.
func onLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && loopback.Host(host)
}

func (d *decoder) listener() {
	t := d.cfg.TLS
	d.choice("tls.mode", t.Mode, "", "files", "proxy")
	switch {
	case t.Mode == "files" && (t.CertFile == "" || t.KeyFile == ""):
		d.clash([]string{"tls.mode", "tls.cert_file", "tls.key_file"}, `"files" needs cert_file and key_file`)
	case t.Mode != "files" && (t.CertFile != "" || t.KeyFile != ""):
		d.clash([]string{"tls.mode", "tls.cert_file", "tls.key_file"}, `cert_file and key_file are used with mode = "files" only`)
	}
	if !isAddress(d.cfg.Listen) {
		d.bad("listen", `must be host:port, such as "127.0.0.1:8080" or ":8443"`)
		return
	}
	d.transport("listen", d.cfg.Listen)
	if d.cfg.Store == StoreMemory && !onLoopback(d.cfg.Listen) && !d.cfg.Trial {
		d.clash([]string{"store", "listen"}, `"memory" loses every token at exit and serves one node only: off loopback use store = "redis", or --trial`)
	}
}

// isAddress says whether text is host:port with a port that exists.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil || port == "" {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

func (d *decoder) redis() {
	r := d.cfg.Redis
	d.choice("redis.mode", r.Mode, "single", "sentinel", "cluster")
	if strings.ContainsAny(r.Prefix, "{}") {
		d.bad("redis.prefix", "must not contain braces: in a Cluster they decide the slot of a key")
	}
	if d.cfg.Store != StoreRedis {
		return
	}
	switch {
	case r.Mode == "single" && r.URL == "":
		d.clash([]string{"redis.url", "redis.mode", "store"}, `store = "redis" requires url, such as "redis://127.0.0.1:6379"; to try Grantor without Redis: --trial`)
	case r.Mode == "single" && !validRedisURL(string(r.URL)):
		d.bad("redis.url", `must begin with redis://, rediss:// or unix://`)
	case r.Mode != "single" && len(r.Addrs) == 0:
		d.clash([]string{"redis.addrs", "redis.mode"}, `mode = %q requires addrs, such as ["10.0.0.1:26379", "10.0.0.2:26379"]`, r.Mode)
	case r.Mode == "sentinel" && r.Master == "":
		d.clash([]string{"redis.master", "redis.mode"}, `mode = "sentinel" requires master: the name of the primary`)
	case r.Mode != "single" && r.URL != "":
		d.clash([]string{"redis.url", "redis.mode"}, `is for mode = "single"; mode = %q takes addrs`, r.Mode)
	}
	if i := slices.IndexFunc(r.Addrs, func(a string) bool { return !isAddress(a) }); i >= 0 {
		d.bad(fmt.Sprintf("redis.addrs[%d]", i), `must be host:port, such as "10.0.0.1:6379"`)
	}
	for key, v := range map[string]time.Duration{"redis.timeout": r.Timeout, "redis.wait_timeout": r.WaitTimeout} {
		if v <= 0 {
			d.bad(key, "must be positive")
		}
	}
	if (r.CertFile == "") != (r.KeyFile == "") {
		d.clash([]string{"redis.cert_file", "redis.key_file"}, "cert_file and key_file must both be set")
	}
	if r.WaitReplicas < 0 {
		d.bad("redis.wait_replicas", "must be 0 or more")
	}
	d.choice("redis.wait_missing", r.WaitMissing, "refuse", "degrade")
}

func validRedisURL(text string) bool {
	for _, scheme := range []string{"redis://", "rediss://", "unix://"} {
		if strings.HasPrefix(text, scheme) {
			return true
		}
	}
	return false
}
