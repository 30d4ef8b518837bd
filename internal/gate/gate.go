// Package gate is the forward-auth service behind "grantor gate". A proxy in front of an API asks
// the gate about each request (nginx auth_request, HAProxy, Apache httpd, Traefik, Caddy, Envoy),
// and lets the request pass on 200. The gate has no rules: what a route needs stands in the proxy's
// own configuration, in the query of the check.
//
//	GET /verify?scope=orders:read&audience=https://orders.example.com
//	GET /verify/scope=orders:read&audience=https:%2F%2Forders.example.com/the/path?of=the-request
//
// The second form is for proxies that append the path of the request, such as Envoy. With resource
// in the place of audience, challenges name the metadata of the API (RFC 9728 §5.1).
package gate

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/middleware"
)

// PathVerify is where proxies ask. PathJWKS has the keys of the identity tokens.
const (
	PathVerify = "/verify"
	PathJWKS   = "/jwks"
)

// Config is what a Gate is made of.
type Config struct {
	Verifier   middleware.Verifier         // required
	Issuer     string                      // the authorization server that PathMetadata names; "": there is no PathMetadata
	Realm      string                      // of the challenges; "": none
	APIKeys    bool                        // also Authorization: Api-Key and X-API-Key
	Proxies    Proxies                     // who may say from where an API key is sent; none: nobody knows
	DPoP       DPoP                        // how proofs of bound tokens are checked
	ClientCert ClientCert                  // how certificates of bound tokens are told
	Preflight  string                      // PreflightNever, PreflightByMethod, or the header with the method
	Claims     []string                    // custom claims that APIs are told; nil: none
	Identity   *Identity                   // nil: no Grantor-Identity
	Ready      func(context.Context) error // asked by /readyz; nil: always ready
	Log        *slog.Logger                // nil: slog.Default()
	Metrics    *Metrics                    // nil: none
}

// Gate answers the checks of proxies. It is an http.Handler.
type Gate struct {
	cfg     Config
	guard   *middleware.Guard
	log     *slog.Logger // of what is told once; cfg.Log tells once a second
	routes  routes
	ready   readiness
	drained atomic.Bool
}

// Check says whether a gate can be made of cfg.
func (cfg Config) Check() error {
	if err := checkPreflight(cfg.Preflight); err != nil {
		return err
	}
	if err := checkClaims(cfg.Claims); err != nil {
		return err
	}
	_, err := cfg.guard()
	return err
}

func (cfg Config) guard() (*middleware.Guard, error) {
	proofs, err := cfg.proofs()
	if err != nil {
		return nil, err
	}
	certificates, err := cfg.certificates()
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Verifier: cfg.Verifier, Realm: cfg.Realm, Log: cfg.Log,
		APIKeyHeaders: cfg.APIKeys, ClientAddress: cfg.Proxies.clientOf, DPoP: proofs, ClientCertificate: certificates})
	if err != nil {
		return nil, errors.New("gate: " + strings.TrimPrefix(err.Error(), "middleware: "))
	}
	return guard, nil
}

// New checks cfg and returns a gate.
func New(cfg Config) (*Gate, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	log := cfg.Log
	cfg.Log = slog.New(newSparse(log.Handler()))
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	guard, err := cfg.guard()
	if err != nil {
		return nil, err
	}
	g := &Gate{cfg: cfg, guard: guard, log: log}
	g.ready.ask = cfg.Ready
	return g, nil
}

// Drain makes /readyz answer 503, before the end.
func (g *Gate) Drain() { g.drained.Store(true) }

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == PathVerify:
		g.measured(w, r, r.URL.RawQuery)
	case strings.HasPrefix(path, PathVerify+"/"):
		demand, _ := inPath(r.URL, PathVerify)
		g.measured(w, r, demand)
	case path == PathMetadata && g.cfg.Issuer != "":
		g.metadata(w, r, r.URL.RawQuery)
	case strings.HasPrefix(path, PathMetadata+"/") && g.cfg.Issuer != "":
		demand, _ := inPath(r.URL, PathMetadata)
		g.metadata(w, r, demand)
	case path == PathJWKS && g.cfg.Identity != nil:
		g.read(w, r, g.cfg.Identity.serveJWKS)
	case path == "/healthz":
		g.read(w, r, func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, statusOK) })
	case path == "/readyz":
		g.read(w, r, g.readyz)
	default:
		refuse(w, http.StatusNotFound, "not_found",
			"the gate has /verify, /metadata, /healthz and /readyz, and with --identity jwt /jwks")
	}
}

// read lets GET and HEAD pass.
func (*Gate) read(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "invalid_request", "the method must be GET or HEAD")
		return
	}
	next(w, r)
}

// measured checks a request against a demand, and counts the answer.
func (g *Gate) measured(w http.ResponseWriter, r *http.Request, demand string) {
	if g.cfg.Metrics == nil {
		g.verify(w, r, demand)
		return
	}
	begun, seen := time.Now(), &statusSeer{ResponseWriter: w}
	g.verify(seen, r, demand)
	g.cfg.Metrics.checked(seen.status, time.Since(begun))
}

// verify answers a check. The proxy's mistakes come first: a demand that cannot be read opens
// nothing, for a preflight either.
func (g *Gate) verify(w http.ResponseWriter, r *http.Request, demand string) {
	route := g.route(demand)
	if route.mistake != "" {
		refuse(w, http.StatusInternalServerError, codeServerError, route.mistake)
		return
	}
	isPreflight, mistake := g.preflight(r)
	switch {
	case mistake != "":
		g.cfg.Log.Error("a check cannot be answered", "error", mistake)
		refuse(w, http.StatusInternalServerError, codeServerError, mistake)
	case isPreflight:
		nobody(w)
	default:
		route.handler.ServeHTTP(w, r)
	}
}

// statusSeer remembers the status of an answer.
type statusSeer struct {
	http.ResponseWriter
	status int
}

func (s *statusSeer) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
