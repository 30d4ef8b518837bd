package gate

import (
	"errors"
	"net/http"
	"net/textproto"
)

// Values of Config.Preflight that are no headers.
const (
	PreflightNever    = ""       // a preflight needs a token, like every request
	PreflightByMethod = "method" // the check itself has the method of the request, as Envoy's has
)

// checkPreflight takes the headers in which proxies say the method of a request.
func checkPreflight(source string) error {
	switch source {
	case PreflightNever, PreflightByMethod, "X-Forwarded-Method", "X-Original-Method":
		return nil
	}
	return errors.New(`gate: preflights are told by "X-Forwarded-Method", "X-Original-Method" or "method"`)
}

// preflight says whether a check is about a CORS preflight, which browsers send without a token
// (Fetch §3.2.2, "CORS-preflight request"). A proxy that does not say the method would let clients
// say it, so that is a mistake, and every check is refused until the proxy does.
func (g *Gate) preflight(r *http.Request) (is bool, mistake string) {
	source := g.cfg.Preflight
	if source == PreflightNever {
		return false, ""
	}
	method := r.Method
	if source != PreflightByMethod {
		values := r.Header[textproto.CanonicalMIMEHeaderKey(source)]
		if len(values) != 1 {
			return false, "the proxy must send the header " + source +
				" once, with the method of the request: --allow-preflight says so"
		}
		method = values[0]
	}
	h := r.Header
	return method == http.MethodOptions && h.Get("Origin") != "" && h.Get("Access-Control-Request-Method") != "" &&
		len(h["Authorization"]) == 0, ""
}
