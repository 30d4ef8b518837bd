package config

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/clientcert"
)

// TLS says how connections are protected, and from where certificates of clients come (RFC 8705).
type TLS struct {
	Mode     string `toml:"mode"`
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`

	ClientCAFile       string `toml:"client_ca_file"`
	RequestClientCerts bool   `toml:"request_client_certs"`
	ClientCertHeader   string `toml:"client_cert_header"`
	ClientCertFormat   string `toml:"client_cert_format"`
	MTLSListen         string `toml:"mtls_listen"`
	MTLSURL            string `toml:"mtls_url"`
}

// AsksForCertificates says whether the main listener asks its clients for certificates.
func (t TLS) AsksForCertificates() bool {
	return t.Mode == "files" && t.MTLSListen == "" && (t.RequestClientCerts || t.ClientCAFile != "")
}

// Certificates says which certificates of clients are read here, and judged.
func (t TLS) Certificates() clients.Certificates {
	return clients.Certificates{Read: t.AsksForCertificates() || t.MTLSListen != "" || t.ClientCertHeader != "",
		Authorities: t.ClientCAFile != ""}
}

// ClientCertificates returns what reads the certificates of clients; nil: nobody reads any.
func (c *Config) ClientCertificates() (*clientcert.Source, error) {
	if !c.TLS.Certificates().Read {
		return nil, nil //nolint:nilnil // none is wanted
	}
	trusted, err := address.ParseNetworks(c.TrustedProxies)
	if err != nil {
		return nil, err
	}
	return clientcert.NewSource(c.TLS.ClientCertHeader, c.TLS.ClientCertFormat, trusted)
}

// clientCertificates checks where certificates of clients come from.
func (d *decoder) clientCertificates() {
	t := d.cfg.TLS
	switch {
	case t.RequestClientCerts && t.Mode != "files":
		d.clash([]string{"tls.request_client_certs", "tls.mode"}, `is for mode = "files": behind a proxy the proxy asks for certificates`)
	case t.ClientCAFile != "" && !t.Certificates().Read:
		d.clash([]string{"tls.client_ca_file", "tls.mode"}, `judges certificates of clients, and none are read: use mode = "files", or set client_cert_header`)
	case t.ClientCertFormat != "" && t.ClientCertHeader == "":
		d.clash([]string{"tls.client_cert_format", "tls.client_cert_header"}, "is the format of client_cert_header: set both")
	}
	d.clientCertHeader()
	d.mtlsListener()
	if t.MTLSURL != "" {
		d.mtlsURL()
	}
	for i := range d.cfg.Clients {
		for _, f := range fieldErrors(t.Certificates().Check(&d.cfg.Clients[i])) {
			d.bad(fmt.Sprintf("clients[%d].%s", i, f.Field), "%s", f.Err)
		}
	}
}

func (d *decoder) clientCertHeader() {
	t := d.cfg.TLS
	if t.ClientCertHeader == "" {
		return
	}
	keys := []string{"tls.client_cert_header", "tls.client_cert_format", "trusted_proxies"}
	if len(d.cfg.TrustedProxies) == 0 {
		d.clash(keys, "is believed from trusted_proxies alone, and there are none: name the addresses of the proxy there")
		return
	}
	for i, p := range d.cfg.TrustedProxies {
		if network, err := address.ParseNetworks([]string{p}); err == nil && network[0].Bits() == 0 {
			d.bad(fmt.Sprintf("trusted_proxies[%d]", i), "is every address: each peer could present any certificate in client_cert_header. Name the proxy's address")
		}
	}
	if err := cmp.Or(clientcert.CheckHeader(t.ClientCertHeader), clientcert.CheckFormat(t.ClientCertHeader, t.ClientCertFormat)); err != nil {
		d.clash(keys[:2], "%s", err)
	}
}

func (d *decoder) mtlsListener() {
	switch t := d.cfg.TLS; {
	case t.MTLSListen == "":
	case t.Mode != "files" || t.MTLSURL == "":
		d.clash([]string{"tls.mtls_listen", "tls.mtls_url", "tls.mode"}, `needs mode = "files", and mtls_url: the URL at which clients reach it`)
	case !isAddress(t.MTLSListen):
		d.bad("tls.mtls_listen", `must be host:port, such as ":8444"`)
	}
}

func (d *decoder) mtlsURL() {
	u, err := url.Parse(d.cfg.TLS.MTLSURL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(d.cfg.TLS.MTLSURL, "?#") ||
		strings.HasSuffix(d.cfg.TLS.MTLSURL, "/"):
		d.bad("tls.mtls_url", `must be an https URL in the form of issuer, such as "https://mtls.auth.example.com"`)
	case d.cfg.TLS.MTLSListen != "" && u.Path != pathOf(d.cfg.Issuer):
		d.clash([]string{"tls.mtls_url", "issuer"}, "must have the path of issuer, %q: mtls_listen serves the endpoints below it", pathOf(d.cfg.Issuer))
	case !d.cfg.TLS.Certificates().Read:
		d.clash([]string{"tls.mtls_url", "tls.mode"}, "is where certificates of clients are read, and none are: set mtls_listen, or client_cert_header")
	}
}

// pathOf returns the path of a URL; "" of none.
func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Path
}
