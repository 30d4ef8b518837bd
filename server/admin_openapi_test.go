package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
)

// TestOpenAPIRoutes: the document names every route of the operator's listener, and no other.
func TestOpenAPIRoutes(t *testing.T) {
	f := start(t, func(c *Config) { c.Manager = &clients.Manager{} })
	var served, described []string
	braces := regexp.MustCompile(`:([a-z]+)`)
	for _, r := range f.server.admin.Routes() {
		if r.Method == http.MethodHead { // as GET, and so not described
			continue
		}
		served = append(served, strings.ToLower(r.Method)+" "+braces.ReplaceAllString(r.Path, "{$1}"))
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(openAPIDocument, &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, operation := range methods {
			described = append(described, method+" "+path)
			require.False(t, ids[operation.OperationID], operation.OperationID)
			ids[operation.OperationID] = true
			require.NotEmpty(t, operation.Responses)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	require.Equal(t, served, described)
}
