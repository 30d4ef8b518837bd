package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/server"
)

// answer is what a server of HTTP answered.
type answer struct {
	url     string
	status  int
	members map[string]any // of its JSON; nil: it is none
}

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 1 << 20

func (s *subject) get(ctx context.Context, at string) (*answer, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil) // #nosec G704 -- configured
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	a := &answer{url: at, status: res.StatusCode}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		_ = json.Unmarshal(body, &a.members) // nil is told where it matters
	}
	return a, err
}

// readMetadata reads the metadata of the issuer (RFC 8414 §3.1).
func (s *subject) readMetadata(ctx context.Context) (*answer, error) {
	u, err := url.Parse(s.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	u.Path = "/.well-known/oauth-authorization-server" + u.Path
	return s.get(ctx, u.String())
}

func checkIssuer(_ context.Context, s *subject) []Finding {
	a, err := s.metadata()
	switch {
	case err != nil:
		return []Finding{s.unreached(s.cfg.Issuer, err)}
	case slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, a.status):
		if len(s.serving()) == 0 {
			return []Finding{notServed(fmt.Sprintf("%s answers %d, and no node serves", s.cfg.Issuer, a.status))}
		}
		return []Finding{fault(fmt.Sprintf("%s answers %d, although nodes serve", a.url, a.status), "look at the proxy: to which address it passes requests, and its log")}
	case a.status != http.StatusOK || a.members == nil:
		return []Finding{fault(fmt.Sprintf("%s answers %d, and not the metadata of a token server (RFC 8414 §3.1)", a.url, a.status),
			"have the proxy pass this path to Grantor, or correct issuer: something else answers there")}
	}
	return []Finding{ok(s.cfg.Issuer + " answers as clients ask it")}
}

func notServed(text string) Finding {
	return warning(text+": not served yet", "start Grantor, and run this command again")
}

// serving returns the nodes that serve; none where nobody can tell.
func (s *subject) serving() []presence.Node {
	if !onRedis(s.cfg) {
		return nil
	}
	nodes, err := s.nodes()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(nodes), presence.Node.Late)
}

// unreached says why nobody answered at a URL.
func (s *subject) unreached(at string, err error) Finding {
	const cureCA = "install the whole chain in cert_file; for an authority of your own give its PEM by --ca-file"
	var unverified *tls.CertificateVerificationError
	var name *net.DNSError
	var plain tls.RecordHeaderError
	var wait net.Error
	switch {
	case refused(err) && len(s.serving()) > 0:
		return fault(fmt.Sprintf("nobody listens at %s, although %d nodes serve", at, len(s.serving())), "look at the address that the name leads to, at the proxy, and at listen")
	case refused(err):
		return notServed("nobody listens at " + at)
	case errors.As(err, &name):
		return fault(fmt.Sprintf("the name %q cannot be looked up: %s", name.Name, name.Err), "add it to the DNS, or correct the URL")
	case errors.As(err, &unverified):
		return fault(at+" has a certificate that clients refuse: "+unverified.Err.Error(), cureOf(unverified.Err, cureCA))
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fault(at+" does not speak TLS", `set [tls] mode = "files", or end TLS in the proxy`)
	case errors.As(err, &wait) && wait.Timeout():
		return fault(at+" does not answer in time", "look at firewalls and at the proxy")
	}
	if inner, is := errors.AsType[*url.Error](err); is {
		err = inner.Err
	}
	return fault(at+" cannot be reached: "+err.Error(), "correct what the error names, or the URL")
}

// cureOf says what mends a certificate that is not trusted.
func cureOf(err error, otherwise string) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.HostnameError)):
		return "get a certificate with the name of the URL, or correct the URL"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate, and look at the clock of this machine"
	}
	return otherwise
}

// refused says whether nobody listens. Windows has another number for it.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "actively refused")
}

// checkMetadata holds what the issuer says of itself against this configuration (RFC 8414 §3.3).
func checkMetadata(_ context.Context, s *subject) (found []Finding) {
	a, err := s.metadata()
	if err != nil || a.status != http.StatusOK || a.members == nil {
		return []Finding{unknown("there is no metadata; see issuer.reachable")}
	}
	want, err := parts.Serves(s.cfg).Places()
	if err != nil {
		return []Finding{unknown(err.Error())}
	}
	for name, value := range s.cfg.Metadata.Extra {
		want[name] = value
	}
	const cure = "another configuration or another server answers there: reload the nodes, or correct issuer, [tls] and the proxy"
	for _, name := range placesOf(want, a.members) {
		if got := a.members[name]; !reflect.DeepEqual(got, want[name]) {
			found = append(found, fault(fmt.Sprintf("%s in the metadata is %s, and this configuration serves %s", name, shown(got), shown(want[name])), cure))
		}
	}
	return orOK(found, "issuer and endpoints in the metadata are those of this configuration")
}

// placesOf returns the members of either that say where something is.
func placesOf(want, got map[string]any) (names []string) {
	for _, m := range []map[string]any{want, got} {
		for name := range m {
			if name == "issuer" || name == "jwks_uri" || name == "mtls_endpoint_aliases" || strings.HasSuffix(name, "_endpoint") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func shown(value any) string {
	if value == nil {
		return "none"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "no JSON"
	}
	return printable.Cell(string(text), maxShown)
}

// maxShown is how much of what somebody answered is quoted, in characters.
const maxShown = 200

// checkMTLS asks where clients with certificates ask. A proxy may refuse whoever shows none.
func checkMTLS(ctx context.Context, s *subject) []Finding {
	a, err := s.get(ctx, s.cfg.TLS.MTLSURL+server.PathToken)
	switch {
	case err != nil && strings.Contains(err.Error(), "certificate required"):
		return []Finding{ok(s.cfg.TLS.MTLSURL + " asks for a certificate")}
	case err != nil:
		return []Finding{s.unreached(s.cfg.TLS.MTLSURL, err)}
	case a.status >= http.StatusInternalServerError || a.status == http.StatusNotFound:
		return []Finding{fault(fmt.Sprintf("%s answers %d", a.url, a.status), "have the proxy pass the paths below mtls_url to Grantor")}
	}
	return []Finding{ok(s.cfg.TLS.MTLSURL + " answers")}
}
