package node

import (
	"net/http"
	"net/http/pprof"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/server"
)

// operator serves /metrics, health, and where it is switched on /debug/pprof.
func (r *resources) operator(cfg config.MetricsListener, cur *current) http.Handler {
	mux := http.NewServeMux()
	hosts := append([]string{hostOf(cfg.Listen)}, cfg.Hosts...)
	mux.Handle("GET /metrics", r.metrics.Handler())
	mux.Handle("GET /healthz", cur)
	mux.Handle("GET /readyz", cur)
	if cfg.PProf {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	exact := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !server.PlainPath(req) { // ServeMux would clean it, and answer or redirect
			cur.ServeHTTP(w, req)
			return
		}
		mux.ServeHTTP(w, req)
	})
	return server.GuardHost(hosts, "[metrics] hosts", exact)
}
