package server

// Paths of the endpoints below the issuer.
const (
	PathToken      = "/oauth2/token"
	PathAuthorize  = "/oauth2/authorize" // with the preset "mcp" alone
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathFeed       = "/oauth2/revocations"
	pathJWKS       = "/oauth2/jwks"
	pathOpenAPI    = "/oauth2/openapi.json"
	pathSessions   = "/oauth2/sessions"
	pathRegister   = "/oauth2/register"
)
