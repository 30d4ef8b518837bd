package server

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

// describedOperation is an operation of the public document.
type describedOperation struct {
	OperationID string `json:"operationId"`
	Responses   map[string]struct {
		Ref     string `json:"$ref"`
		Headers map[string]any
	}
}

// publicDescription is the public document, and the judge of requests and answers by it.
type publicDescription struct {
	OpenAPI    string
	Paths      map[string]map[string]describedOperation
	Components struct {
		Responses map[string]struct{ Headers map[string]any }
		Schemas   map[string]json.RawMessage
	}
	check validator.Validator
}

//nolint:gochecknoglobals // read once for all tests
var readDescription = sync.OnceValues(func() (*publicDescription, error) {
	d := &publicDescription{}
	if err := json.Unmarshal(publicDocument, d); err != nil {
		return nil, err
	}
	parsed, err := libopenapi.NewDocument(publicDocument)
	if err != nil {
		return nil, err
	}
	check, errs := validator.NewValidator(parsed, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	if len(errs) > 0 {
		return nil, errs[0]
	}
	d.check = check
	return d, nil
})

// operation finds what the document says of a method and a path, whose {…} stand for anything.
func (d *publicDescription) operation(method, path string) (describedOperation, bool) {
	asked := strings.Split(path, "/")
	for template, methods := range d.Paths {
		segments := strings.Split(template, "/")
		matches := slices.EqualFunc(segments, asked, func(s, a string) bool { return s == a || strings.HasPrefix(s, "{") && a != "" })
		if o, ok := methods[strings.ToLower(method)]; ok && matches {
			return o, true
		}
	}
	return describedOperation{}, false
}

// described holds an answer of any test against the public document: status, headers, body. What
// was accepted, the document must allow.
func (f *fixture) described(t *testing.T, req *http.Request, body string, res *http.Response, answer []byte) {
	t.Helper()
	d, err := readDescription()
	require.NoError(t, err)
	path := strings.TrimPrefix(req.URL.Path, f.server.path)
	if strings.HasPrefix(path, "/.well-known/") {
		path = strings.TrimSuffix(path, f.server.path)
	}
	operation, ok := d.operation(req.Method, path)
	switch {
	case !ok: // another path or method: 404 or 405, as the document says of all
		return
	case res.StatusCode == http.StatusNotFound && strings.Contains(string(answer), "there is nothing at this path"): // it is off
		return
	case res.StatusCode == http.StatusInternalServerError, res.StatusCode == http.StatusRequestHeaderFieldsTooLarge:
		return // a fault of the test's own making; net/http's answer
	}
	what := req.Method + " " + path + " " + body + " -> " + strconv.Itoa(res.StatusCode) + " " + string(answer)
	response, ok := operation.Responses[strconv.Itoa(res.StatusCode)]
	require.True(t, ok, "the status is not described: %s", what)
	headers := response.Headers
	if response.Ref != "" {
		headers = d.Components.Responses[strings.TrimPrefix(response.Ref, "#/components/responses/")].Headers
	}
	for _, name := range []string{"Www-Authenticate", "Retry-After", "Etag"} {
		if res.Header.Get(name) != "" {
			known := slices.ContainsFunc(slices.Collect(maps.Keys(headers)), func(h string) bool { return strings.EqualFold(h, name) })
			require.True(t, known, "the header %s is not described: %s", name, what)
		}
	}
	asked := func() *http.Request {
		plain, err := http.NewRequest(req.Method, exampleIssuer+path, strings.NewReader(body)) //nolint:noctx // is not sent
		require.NoError(t, err)
		plain.Header = req.Header.Clone()
		return plain
	}
	copied := *res
	copied.Body = io.NopCloser(bytes.NewReader(answer))
	good, problems := d.check.ValidateHttpResponse(asked(), &copied)
	require.True(t, good, "%s: %v", what, problems)
	if res.StatusCode < http.StatusMultipleChoices {
		good, problems := d.check.ValidateHttpRequestSync(asked())
		require.True(t, good, "accepted, and not described: %s: %v", what, problems)
	}
}

// TestPublicOpenAPI: the document names every public route, and no other, and is served.
func TestPublicOpenAPI(t *testing.T) {
	f, _ := startPeople(t, withKeys(t, keys.ES256), func(c *Config) { c.Preset = "mcp" })
	d, err := readDescription()
	require.NoError(t, err)
	require.Equal(t, "3.1.0", d.OpenAPI)
	var served, listed []string
	for _, r := range f.server.public.Routes() {
		if r.Method != http.MethodHead { // as GET, and so not described
			served = append(served, strings.ToLower(r.Method)+" "+strings.NewReplacer(":id", "{id}").Replace(r.Path))
		}
	}
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			listed = append(listed, method+" "+path)
			require.False(t, ids[operation.OperationID], operation.OperationID)
			ids[operation.OperationID] = true
		}
	}
	require.ElementsMatch(t, served, listed)

	r := f.call(t, http.MethodGet, pathOpenAPI, "")
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, []any{map[string]any{"url": f.URL, "description": "The issuer"}}, r.json["servers"])
	require.NotContains(t, r.body, exampleIssuer+`","description`)
	require.Equal(t, "public, max-age=300", r.header.Get("Cache-Control"))
	again := f.call(t, http.MethodGet, pathOpenAPI, "", "If-None-Match: "+r.header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, again.status)
	require.Empty(t, again.body)
}

// TestPublicOpenAPIJudges: each operation is asked here, so that fixture.call holds its answers
// against the document, and an answer that is not described is refused.
func TestPublicOpenAPIJudges(t *testing.T) {
	f, _ := startPeople(t, withKeys(t))
	for _, path := range []string{"/healthz", "/readyz", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", pathJWKS} {
		require.Equal(t, http.StatusOK, f.call(t, http.MethodGet, path, "").status, path)
	}
	login := f.login(t, "")
	require.Equal(t, http.StatusOK, login.status, login.body)
	require.Equal(t, http.StatusOK, f.post(t, tokP, "", "grant_type=refresh_token&client_id=mobile&refresh_token="+login.text("refresh_token")).status)
	require.Equal(t, true, f.inspect(t, login.text("access_token")).json["active"])
	require.Equal(t, false, f.inspect(t, "x").json["active"])
	require.Equal(t, http.StatusOK, f.post(t, revP, "", "client_id=mobile&token="+login.text("access_token")).status)
	require.Equal(t, http.StatusOK, f.poll(t, "echo=a").status)

	d, err := readDescription()
	require.NoError(t, err)
	for name, bad := range map[string]string{"a member more": `{"active":false,"why":"expired"}`, "a wrong type": `{"active":"no"}`} {
		req, err := http.NewRequest(http.MethodPost, exampleIssuer+intP, strings.NewReader("token=x")) //nolint:noctx // is not sent
		require.NoError(t, err)
		req.Header.Set("Content-Type", formType)
		w := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"x"}, "Cache-Control": {"no-store"}}, Body: io.NopCloser(strings.NewReader(bad))}
		good, _ := d.check.ValidateHttpResponse(req, w)
		require.False(t, good, name)
	}
}

// TestAccessTokenClaims: the document lists exactly the claims that a JWT access token has.
func TestAccessTokenClaims(t *testing.T) {
	f, _ := startPeople(t, withKeys(t))
	d, err := readDescription()
	require.NoError(t, err)
	var schema struct {
		Required   []string
		Properties map[string]any
	}
	require.NoError(t, json.Unmarshal(d.Components.Schemas["AccessTokenClaims"], &schema))
	login := f.login(t, "")
	for _, token := range []string{f.issue(t, ""), login.text("access_token")} {
		_, claims := parts(t, token)
		for name := range claims {
			require.Contains(t, schema.Properties, name)
		}
		for _, name := range schema.Required {
			require.Contains(t, claims, name)
		}
	}
}
