package clients

// Method is a token_endpoint_auth_method (RFC 7591 §2).
type Method string

// The methods. MethodSecret is what a client with secrets and no named method may
// use: basic or post.
const (
	MethodSecret     Method = ""
	MethodBasic      Method = "client_secret_basic"
	MethodPost       Method = "client_secret_post"
	MethodNone       Method = "none"
	MethodJWT        Method = "private_key_jwt"             // by a JWT that it, or its platform, signs (RFC 7523 §2.2)
	MethodTLS        Method = "tls_client_auth"             // by a certificate of an authority (RFC 8705 §2.1)
	MethodSelfSigned Method = "self_signed_tls_client_auth" // by a certificate of its own making (RFC 8705 §2.2)
)

// ByCertificate says whether a client of this method proves itself by a certificate.
func (m Method) ByCertificate() bool { return m == MethodTLS || m == MethodSelfSigned }

// HasSecret says whether a client of this method has secrets.
func (m Method) HasSecret() bool { return m == MethodSecret || m == MethodBasic || m == MethodPost }
