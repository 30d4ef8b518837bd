package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// metadata answers RFC 8414 §3. response_types_supported is left out: §2 requires it, §3.2
// forbids it to be empty, and there is no authorization endpoint (deviation).
func (s *Server) metadata(x *exchange) error {
	text, err := json.Marshal(s.document())
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	h := x.gin.Writer.Header()
	h.Del("Pragma")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", etag)
	if x.gin.GetHeader("If-None-Match") == etag {
		x.gin.Writer.WriteHeader(http.StatusNotModified)
		x.gin.Writer.WriteHeaderNow()
		return nil
	}
	writeJSON(x, http.StatusOK, json.RawMessage(text))
	return nil
}

// document says exactly what works, and no empty array (RFC 8414 §3.2).
type document struct {
	Issuer                   string           `json:"issuer"`
	TokenEndpoint            string           `json:"token_endpoint"`
	IntrospectionEndpoint    string           `json:"introspection_endpoint"`
	RevocationEndpoint       string           `json:"revocation_endpoint"`
	GrantTypes               []string         `json:"grant_types_supported"`
	Scopes                   []string         `json:"scopes_supported,omitempty"`
	TokenAuthMethods         []clients.Method `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods []clients.Method `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods    []clients.Method `json:"revocation_endpoint_auth_methods_supported"`

	JWKS                  string   `json:"jwks_uri,omitempty"`
	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionAlgs     []string `json:"introspection_signing_alg_values_supported,omitempty"` // RFC 9701 §7
	// IDTokenAlgs are the algs of JWT access tokens. There are no ID tokens, but verifiers by
	// OpenID Connect Discovery §3 take a document without this member for RS256 alone.
	IDTokenAlgs []string `json:"id_token_signing_alg_values_supported,omitempty"`
}

func (s *Server) document() document {
	secret := []clients.Method{clients.MethodBasic, clients.MethodPost}
	if s.cfg.Assertions != nil {
		secret = append(secret, clients.MethodJWT)
	}
	methods := secret
	if s.cfg.PublicClients {
		methods = append(slices.Clone(secret), clients.MethodNone)
	}
	d := document{
		Issuer:                   s.cfg.Issuer,
		TokenEndpoint:            s.cfg.Issuer + PathToken,
		IntrospectionEndpoint:    s.cfg.Issuer + pathIntrospect,
		RevocationEndpoint:       s.cfg.Issuer + pathRevoke,
		GrantTypes:               s.grantTypes,
		TokenAuthMethods:         methods,
		IntrospectionAuthMethods: secret,
		RevocationAuthMethods:    methods,
	}
	if s.cfg.Assertions != nil {
		d.TokenAuthAlgs = jwt.Algorithms()
		d.IntrospectionAuthAlgs, d.RevocationAuthAlgs = d.TokenAuthAlgs, d.TokenAuthAlgs
	}
	if s.cfg.Keys != nil {
		d.JWKS, d.IntrospectionAlgs, d.IDTokenAlgs = s.cfg.Issuer+pathJWKS, s.cfg.Algorithms, s.cfg.Algorithms
	}
	for t := range s.cfg.Catalogue.Names().All() {
		d.Scopes = append(d.Scopes, t)
	}
	return d
}
