package testserver_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/testserver"
)

// TestOpenAPI: the document names every endpoint and nothing else, and what is said and answered is
// as it says.
func TestOpenAPI(t *testing.T) {
	s := serve(t, testserver.Options{})
	text, err := json.Marshal(s.does("GET", "/test/openapi.json", nil))
	require.NoError(t, err)
	doc, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	v, problems := validator.NewValidator(doc)
	require.Empty(t, problems)
	_, problems2 := v.ValidateDocument()
	require.Empty(t, problems2)

	var served []string
	source, err := os.ReadFile("api.go")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`HandleFunc\("(GET|DELETE) "\+Root(?:\+"([^"]+)")?,`).FindAllStringSubmatch(string(source), -1) {
		served = append(served, m[1]+" /test"+m[2])
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\t"([a-z]+)": +s\.do`).FindAllStringSubmatch(string(source), -1) {
		served = append(served, "POST /test/"+m[1])
	}
	var documented []string
	model, err := doc.BuildV3Model()
	require.NoError(t, err)
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	require.NotEmpty(t, served)
	require.Equal(t, served, documented)

	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/test", nil},
		{"POST", "/test/tokens", members{"scope": "orders:read", "sub": "u-1", "client_id": "till", "expires_in": 60, "aud": []string{"https://a.example.com"}, "format": "jwt"}},
		{"POST", "/test/tokens", members{"scope": "orders:read"}},
		{"POST", "/test/revoke", members{"token": s.does("POST", "/test/tokens", members{"scope": "a"})["access_token"]}},
		{"POST", "/test/expire", members{"token": s.does("POST", "/test/tokens", members{"scope": "a"})["access_token"]}},
		{"POST", "/test/fail", members{"status": 503, "requests": 1}},
		{"DELETE", "/test/fail", nil},
		{"GET", "/test/clock", nil},
		{"POST", "/test/clock", members{"advance": "1s"}},
		{"POST", "/test/clients", members{"client_id": "job", "scope": "a", "public": false}},
		{"POST", "/test/users", members{"sub": "u-2", "username": "ada", "password": "p", "scope": "a"}},
		{"DELETE", "/test/users/u-2", nil},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			var body []byte
			if c.body != nil {
				body, err = json.Marshal(c.body)
				require.NoError(t, err)
			}
			request := func() *http.Request {
				r, err := http.NewRequestWithContext(t.Context(), c.method, s.url+c.path, bytes.NewReader(body))
				require.NoError(t, err)
				r.Header.Set("Content-Type", "application/json")
				return r
			}
			res, err := http.DefaultClient.Do(request())
			require.NoError(t, err)
			defer res.Body.Close()
			require.Equal(t, 200, res.StatusCode)
			ok, wrong := v.ValidateHttpRequestResponse(request(), res)
			require.True(t, ok, "%v", wrong)
		})
	}
}
