package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/gate"
)

// gateFlags are what a gate is told. It reads no config.toml: it is a resource server like any
// other.
type gateFlags struct {
	issuer, clientID, secretFile, caFile    string
	listen, socketMode, cert, key, metrics  string
	insecureListen, insecureIssuer, live    bool
	maxLease                                time.Duration
	realm, preflight, identity, url, keyAlg string
	keyFiles, claims, trustedProxies        []string
	apiKeys                                 bool
	dpopRequest, dpopURL, dpopNonceKeyFile  string
	certHeader, certFormat                  string
	log                                     config.Log
}

const gateLong = `Answers the question that a proxy asks about each request: may this token pass?

A proxy in front of an API asks GET /verify with the Authorization header of the request.
The query says what the route needs: scope (all of them), any (one of them), audience.
The gate answers 200 with headers for the API, such as Grantor-Subject and Grantor-Scope.
It refuses with 401 or 403 and the challenge of RFC 6750. It answers 503 when it cannot verify,
and 500 to a wrong query.

The gate is a client of the authorization server that may introspect. GRANTOR_CLIENT_ID and
GRANTOR_CLIENT_SECRET in the environment name it where no flag does. Recipes for nginx, HAProxy,
Apache httpd, Caddy, Traefik and Envoy: deploy/gate and docs/guides/proxy.md.`

const gateExample = `  grantor gate --issuer https://auth.example.com --client-id orders-api --client-secret-file /etc/grantor/orders-api
  grantor gate --issuer https://auth.example.com --client-id orders-api --client-secret-file secret \
      --listen unix:/run/grantor-gate/gate.sock --socket-mode 660
  grantor gate --issuer https://auth.example.com --client-id orders-api --client-secret-file secret \
      --listen 0.0.0.0:8443 --tls-cert gate.crt --tls-key gate.key --identity jwt --url https://gate.internal:8443

  curl -i -H "Authorization: Bearer $TOKEN" 'http://127.0.0.1:8082/verify?scope=orders:read&audience=https://orders.example.com'`

func (p Program) gateCommand() *cobra.Command {
	f := &gateFlags{}
	c := &cobra.Command{Use: "gate", Short: "Check tokens for a proxy in front of any API", Long: gateLong, Example: gateExample, Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return p.gate(c, f) }}
	s := c.Flags()
	s.StringVar(&f.issuer, "issuer", "", "URL of the authorization server, as its metadata names it")
	s.StringVar(&f.clientID, "client-id", "", "the client as which the gate introspects (default: GRANTOR_CLIENT_ID)")
	s.StringVar(&f.secretFile, "client-secret-file", "", "a file with the secret of that client (default: GRANTOR_CLIENT_SECRET)")
	s.StringVar(&f.caFile, "ca-file", "", "PEM of the authorities to trust for the issuer (default: the system's)")
	s.BoolVar(&f.insecureIssuer, "insecure-issuer", false, "take an http:// issuer off this machine; tokens then travel in clear")
	s.BoolVar(&f.live, "live", true, "remember tokens and follow the issuer's revocation feed; false: ask at every check")
	s.DurationVar(&f.maxLease, "max-lease", 0, "the longest time for which a revocation may go unseen (default: what the issuer says, 1s)")
	s.StringVar(&f.listen, "listen", "127.0.0.1:8082", "host:port, or unix:/path")
	s.StringVar(&f.socketMode, "socket-mode", "660", "who may ask at a Unix socket, in octal")
	s.StringVar(&f.cert, "tls-cert", "", "PEM of the certificate: serve TLS; a renewed file is read by itself")
	s.StringVar(&f.key, "tls-key", "", "PEM of the private key of that certificate")
	s.BoolVar(&f.insecureListen, "insecure-listen", false, "listen without TLS where others than this machine reach it; tokens then travel in clear")
	s.StringVar(&f.realm, "realm", "", "the realm in WWW-Authenticate (default: none)")
	s.BoolVar(&f.apiKeys, "api-keys", false, "take API keys as Authorization: Api-Key and as X-API-Key too")
	s.StringSliceVar(&f.trustedProxies, "trusted-proxy", nil, `a proxy whose X-Forwarded-For is trusted: address, network, or "unix". Needed for API keys with allowed networks (default: none; such keys are refused)`)
	s.StringVar(&f.dpopRequest, "dpop-request", "", `take tokens that are bound to a key (DPoP). The value says how the proxy tells the request: X-Original or X-Forwarded for the headers -Method and -Uri, or "path" for Envoy (default: such tokens are refused)`)
	s.StringVar(&f.dpopURL, "dpop-url", "", "with --dpop-request: the URL of the API as clients write it (default: scheme and host of audience)")
	s.StringVar(&f.dpopNonceKeyFile, "dpop-nonce-key-file", "", "with --dpop-request: demand nonces. The file has a secret of 32 bytes or more, the same for all gates (default: no nonces)")
	s.StringVar(&f.certHeader, "client-cert-header", "", "take tokens that are bound to a certificate (mutual TLS). The value is the header in which the proxy always writes the client's certificate, such as Client-Cert (default: such tokens are refused)")
	s.StringVar(&f.certFormat, "client-cert-format", "", "with --client-cert-header: rfc9440, pem (nginx), der (base64) or xfcc (Envoy) (default: that of Client-Cert and X-Forwarded-Client-Cert)")
	s.StringVar(&f.preflight, "allow-preflight", "", `let CORS preflights pass without a token. The value is the header in which the proxy always sends the method: X-Forwarded-Method, X-Original-Method, or "method" for Envoy`)
	s.StringSliceVar(&f.claims, "claims", nil, "custom claims for the header Grantor-Claims, as tenant_id,role (default: none)")
	s.StringVar(&f.identity, "identity", "none", `"jwt": also send Grantor-Identity, a signed JWT of 60 s, with its keys at /jwks`)
	s.StringVar(&f.url, "url", "", "with --identity jwt: the gate's own URL, iss of Grantor-Identity (default: the address of --listen)")
	s.StringSliceVar(&f.keyFiles, "identity-key-file", nil, "with --identity jwt: the private key as PEM. Of several keys the first signs, and all are published (default: a fresh key)")
	s.StringVar(&f.keyAlg, "identity-alg", "ES256", "with --identity jwt: algorithm of a fresh key, ES256 or EdDSA")
	s.StringVar(&f.metrics, "metrics-listen", "", "host:port of this machine for /metrics (default: none)")
	s.StringVar(&f.log.Level, "log-level", "info", "debug, info, warn or error")
	s.StringVar(&f.log.Format, "log-format", "auto", "text, json, or auto: text on a terminal")
	oneOf(c, "identity", "none", "jwt")
	oneOf(c, "identity-alg", "ES256", "EdDSA")
	oneOf(c, "dpop-request", gate.RequestOriginal, gate.RequestForwarded, gate.RequestPath)
	oneOf(c, "client-cert-format", gate.CertificateFormats()...)
	oneOf(c, "allow-preflight", "X-Forwarded-Method", "X-Original-Method", "method")
	oneOf(c, "log-level", "debug", "info", "warn", "error")
	oneOf(c, "log-format", "auto", "text", "json")
	return c
}

// gate checks the call, opens the listeners, and serves until a signal.
func (p Program) gate(c *cobra.Command, f *gateFlags) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	log := p.logger(f.log)
	verifier, live, err := p.gateVerifier(f, log)
	if err != nil {
		return usageError{err}
	}
	if live != nil {
		defer live.Close()
	}
	keys, err := f.identityKeys()
	if err != nil {
		return usageError{err}
	}
	proxies, err := gate.ParseProxies(f.trustedProxies)
	if err != nil {
		return usageError{fmt.Errorf("--trusted-proxy: %w", err)}
	}
	nonceKey, err := f.nonceKey()
	if err != nil {
		return usageError{err}
	}
	cfg := gate.Config{Verifier: verifier, Issuer: f.issuer, Realm: f.realm, APIKeys: f.apiKeys, Proxies: proxies,
		DPoP:       gate.DPoP{Request: f.dpopRequest, URL: f.dpopURL, NonceKey: nonceKey},
		ClientCert: gate.ClientCert{Header: f.certHeader, Format: f.certFormat},
		Preflight:  f.preflight, Claims: f.claims, Ready: gate.Reaches(verifier), Log: log, Metrics: gate.NewMetrics(p.version())}
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	observe(cfg.Metrics, live)
	l, err := f.open(func(err error) {
		log.Warn("cannot read the renewed certificate; keeping the old certificate", "error", err.Error())
	})
	if err != nil {
		return err
	}
	l.Log = log
	if f.identity == "jwt" {
		if cfg.Identity, err = gate.NewIdentity(cmp.Or(f.url, f.reach(l.Checks.Addr())), keys); err != nil {
			return err
		}
	}
	return p.serveGate(c, f, cfg, l)
}

// serveGate serves until a signal.
func (p Program) serveGate(c *cobra.Command, f *gateFlags, cfg gate.Config, l gate.Listeners) error {
	g, err := gate.New(cfg)
	if err != nil {
		return err
	}
	log := cfg.Log
	p.tuneCollector()
	stop := newStopper(log)
	defer stop.close()
	u := p.unit(log)
	u.handler = g
	stop.told = func() { u.stopping(stopLimit(config.Server{ShutdownTimeout: gate.ShutdownTimeout})) }
	stop.listen()
	fmt.Fprintf(c.OutOrStdout(), "Grantor gate listens on %s, issuer %s\n", f.reach(l.Checks.Addr()), f.issuer)
	if l.Metrics != nil {
		fmt.Fprintf(c.OutOrStdout(), "Metrics on %s\n", l.Metrics.Addr())
	}
	if err := cfg.Ready(stop.ctx); err != nil { // told once at the start: most often the secret is wrong
		log.Warn("tokens cannot be verified yet; checks are answered 503", "error", err.Error())
	}
	ctx, end := context.WithCancel(stop.ctx)
	var tasks sync.WaitGroup
	defer func() { end(); tasks.Wait() }()
	u.serving(f.reach(l.Checks.Addr()), func(_ string, task func(context.Context)) { tasks.Go(func() { task(ctx) }) })
	return g.Serve(stop.ctx, l)
}

// check looks at what belongs together.
func (f *gateFlags) check() error {
	at, err := gate.ParseAddress(f.listen, f.socketMode)
	switch {
	case err != nil:
		return fmt.Errorf("--listen: %w", err)
	case f.issuer == "":
		return errors.New("say --issuer URL")
	case (f.cert == "") != (f.key == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case f.cert == "" && !at.Local() && !f.insecureListen:
		return errors.New("--listen off loopback needs --tls-cert and --tls-key, or --insecure-listen where something else encrypts (RFC 6750 §5.3)")
	case f.identity != "none" && f.identity != "jwt":
		return errors.New("--identity is none or jwt")
	case f.identity == "none" && (f.url != "" || len(f.keyFiles) > 0):
		return errors.New("--url and --identity-key-file need --identity jwt")
	case f.identity == "jwt" && f.url == "" && at.Network == "unix":
		return errors.New("--identity jwt at a Unix socket needs --url: it is the issuer of the JWTs")
	}
	return f.checkMore()
}

func (f *gateFlags) checkMore() error {
	if f.metrics != "" {
		if at, err := gate.ParseAddress(f.metrics, "600"); err != nil || at.Network != "tcp" || !at.Local() && !f.insecureListen {
			return errors.New("--metrics-listen is host:port of this machine, as 127.0.0.1:9090; elsewhere it needs --insecure-listen")
		}
	}
	switch f.log.Level {
	case "debug", "info", "warn", "error":
	default:
		return errors.New("--log-level is debug, info, warn or error")
	}
	switch f.log.Format {
	case "auto", "text", "json":
		return nil
	}
	return errors.New("--log-format is auto, text or json")
}

// open opens the listeners.
func (f *gateFlags) open(failed func(error)) (l gate.Listeners, err error) {
	if f.cert != "" {
		if l.Certificate, err = gate.Certificate(f.cert, f.key, failed); err != nil {
			return l, usageError{fmt.Errorf("--tls-cert and --tls-key: %w", err)}
		}
	}
	at, err := gate.ParseAddress(f.listen, f.socketMode)
	if err != nil {
		return l, err
	}
	if l.Checks, err = at.Listen(); err != nil || f.metrics == "" {
		return l, err
	}
	if l.Metrics, err = net.Listen("tcp", f.metrics); err != nil {
		_ = l.Checks.Close()
	}
	return l, err
}

// reach is the URL of a listener.
func (f *gateFlags) reach(at net.Addr) string {
	switch {
	case at.Network() == "unix":
		return "unix:" + at.String()
	case f.cert != "":
		return "https://" + at.String()
	}
	return "http://" + at.String()
}
