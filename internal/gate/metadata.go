package gate

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/internal/resource"
	"github.com/grantor-auth/grantor/scopes"
)

// PathMetadata is what a proxy asks for where clients ask it for the metadata of an API (RFC 9728).
// Like a demand, what the metadata says stands in the proxy's configuration.
const PathMetadata = "/metadata"

// metadata answers with the metadata of the resource that the proxy's configuration describes.
func (g *Gate) metadata(w http.ResponseWriter, r *http.Request, text string) {
	d, err := parseMetadata(text)
	if err == nil {
		d.AuthorizationServers, d.BearerMethods = []string{g.cfg.Issuer}, []string{"header"}
		d.Certificates = g.cfg.ClientCert.Header != ""
		if g.cfg.DPoP.Request != "" {
			d.ProofAlgorithms = dpop.Algorithms()
		}
		var h http.Handler
		if h, err = resource.Handler(d); err == nil {
			h.ServeHTTP(w, r)
			return
		}
	}
	g.cfg.Log.Error("the proxy's metadata is invalid; it is answered 500", "error", err.Error())
	refuse(w, http.StatusInternalServerError, codeServerError, "the metadata of the proxy's configuration is wrong: "+err.Error())
}

// parseMetadata reads resource, scope, name and documentation. Errors quote no values.
func parseMetadata(text string) (*resource.Document, error) {
	d, seen := &resource.Document{}, map[string]bool{}
	for part := range strings.SplitSeq(text, "&") {
		name, value, err := parameter(part, "resource", "scope", "name", "documentation")
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("%s comes twice; divide scopes by + in one parameter", name)
		}
		seen[name] = true
		switch name {
		case "resource":
			d.Resource = value
		case "name":
			d.Name = value
		case "documentation":
			d.Documentation = value
		case "scope":
			tokens, err := scopes.Parse(value)
			if err != nil {
				return nil, fmt.Errorf("scope: %w", err)
			}
			for token := range tokens.All() {
				d.Scopes = append(d.Scopes, token)
			}
		}
	}
	if d.Resource == "" {
		return nil, errors.New("resource is missing: the URL of the API")
	}
	return d, nil
}
