package server

// Paths of the endpoints below the issuer.
const (
	PathToken      = "/oauth2/token"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathJWKS       = "/oauth2/jwks"
	pathRegister   = "/oauth2/register"
)
