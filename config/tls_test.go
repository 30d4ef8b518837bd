package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func tlsClient(more string) string {
	return "[[clients]]\nclient_id = \"c\"\n" + more
}

func TestCertificateMistakes(t *testing.T) {
	const files = minimal + "[tls]\nmode = \"files\"\ncert_file = \"c\"\nkey_file = \"k\"\n"
	const named = "token_endpoint_auth_method = \"tls_client_auth\"\ntls_client_auth_san_dns = \"a.example.com\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"MT-08 a header without trusted proxies": {minimal + "[tls]\nclient_cert_header = \"Client-Cert\"\n",
			"config.toml:3:1: tls.client_cert_header: is believed from trusted_proxies alone, and there are none"},
		"MT-08 a header that everybody may send": {minimal + "trusted_proxies = [\"0.0.0.0/0\"]\n[tls]\nclient_cert_header = \"Client-Cert\"\n",
			"config.toml:2:1: trusted_proxies[0]: is every address"},
		"MT-08 a header that everybody may send, IPv4 in IPv6's form": {minimal + "trusted_proxies = [\"::ffff:0.0.0.0/96\"]\n[tls]\nclient_cert_header = \"Client-Cert\"\n",
			"config.toml:2:1: trusted_proxies[0]: is every address"},
		"a header without a known format": {minimal + "trusted_proxies = [\"10.0.0.1\"]\n[tls]\nclient_cert_header = \"X-Cert\"\n",
			"set client_cert_format to \"rfc9440\", \"pem\", \"der\", \"xfcc\""},
		"a header with an unknown format": {minimal + "trusted_proxies = [\"10.0.0.1\"]\n[tls]\nclient_cert_header = \"X-Cert\"\nclient_cert_format = \"nginx\"\n",
			"the format must be \"rfc9440\""},
		"a header that means something else": {minimal + "trusted_proxies = [\"10.0.0.1\"]\n[tls]\nclient_cert_header = \"Authorization\"\nclient_cert_format = \"pem\"\n",
			"is the name of another header"},
		"a format without a header":        {minimal + "[tls]\nclient_cert_format = \"pem\"\n", "tls.client_cert_format: is the format of client_cert_header: set both"},
		"authorities that judge nothing":   {minimal + "[tls]\nclient_ca_file = \"x\"\n", "tls.client_ca_file: judges certificates of clients, and none are read"},
		"asking behind a proxy":            {minimal + "[tls]\nrequest_client_certs = true\n", "tls.request_client_certs: is for mode = \"files\""},
		"a listener without its URL":       {files + "mtls_listen = \":8444\"\n", "tls.mtls_listen: needs mode = \"files\", and mtls_url"},
		"a listener that is no address":    {files + "mtls_listen = \"8444\"\nmtls_url = \"https://a.example.com\"\n", "tls.mtls_listen: must be host:port"},
		"a URL without TLS":                {files + "mtls_listen = \":8444\"\nmtls_url = \"http://a.example.com\"\n", "tls.mtls_url: must be an https URL"},
		"a URL where nothing is read":      {minimal + "[tls]\nmtls_url = \"https://a.example.com\"\n", "tls.mtls_url: is where certificates of clients are read, and none are"},
		"a URL with another path":          {files + "mtls_listen = \":8444\"\nmtls_url = \"https://a.example.com/x\"\n", "tls.mtls_url: must have the path of issuer"},
		"MT-01 tls_client_auth without CA": {files + "request_client_certs = true\n" + tlsClient(named), "clients[0].token_endpoint_auth_method: tls_client_auth needs the authorities of clients: set [tls] client_ca_file"},
		"MT-01 tls_client_auth without TLS": {minimal + tlsClient(named),
			"clients[0].token_endpoint_auth_method: tls_client_auth needs certificates of clients, which this server does not read"},
		"MT-04 bound tokens without certificates": {minimal + tlsClient("token_endpoint_auth_method = \"none\"\ntls_client_certificate_bound_access_tokens = true\n"),
			"clients[0].tls_client_certificate_bound_access_tokens: needs certificates of clients"},
		"MT-01 RFC 8705 §2.1.2 two names": {minimal + tlsClient(named+"tls_client_auth_san_ip = \"192.0.2.1\"\n"), "\"tls_client_auth\" needs exactly one of tls_client_auth_subject_dn"},
		"MT-01 RFC 8705 §2.1.2 no name":   {minimal + tlsClient("token_endpoint_auth_method = \"tls_client_auth\"\n"), "there are 0"},
		"a name that is none":             {minimal + tlsClient("token_endpoint_auth_method = \"tls_client_auth\"\ntls_client_auth_subject_dn = \"billing\"\n"), "clients[0].tls_client_auth_subject_dn: must be a distinguished name"},
		"a name of another method":        {minimal + tlsClient("token_endpoint_auth_method = \"none\"\ntls_client_auth_san_dns = \"a.example.com\"\n"), "clients[0].tls_client_auth_san_dns: is for token_endpoint_auth_method = \"tls_client_auth\""},
		"MT-02 no certificates":           {minimal + tlsClient("token_endpoint_auth_method = \"self_signed_tls_client_auth\"\n"), "clients[0].jwks: \"self_signed_tls_client_auth\" needs one of jwks and jwks_uri"},
		"a certificate and a secret":      {minimal + tlsClient(named+"secrets = [{ hash = \""+goodHash+"\" }]\n"), "clients[0].secrets: a client that authenticates by \"tls_client_auth\" has no secret"},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, mistakes(t, c.text), c.want) })
	}
	t.Run("sound", func(t *testing.T) {
		for _, text := range []string{
			files + "client_ca_file = \"x\"\n" + tlsClient(named),
			files + "mtls_listen = \":8444\"\nmtls_url = \"https://mtls.example.com\"\nclient_ca_file = \"x\"\n" + tlsClient(named),
			minimal + "trusted_proxies = [\"10.0.0.1\"]\n[tls]\nclient_ca_file = \"x\"\nclient_cert_header = \"X-Forwarded-Client-Cert\"\n" + tlsClient(named),
		} {
			_, _, err := Load(Options{Path: write(t, text)})
			require.NoError(t, err)
		}
	})
}
