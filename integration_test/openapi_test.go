package integration_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grantor-auth/grantor/redisdb/redistest"
)

// schema is what the generator reads of a JSON schema.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Enum       []string          `json:"enum"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Examples   []string          `json:"examples"`
}

type operation struct {
	OperationID string             `json:"operationId"`
	Security    []map[string][]any `json:"security"`
	RequestBody *struct {
		Content map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]any
}

type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

// value draws something for a schema, right or wrong.
func (d *document) value(t *rapid.T, s schema, depth int) any {
	if s.Ref != "" {
		return d.value(t, d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], depth)
	}
	odd := rapid.SampledFrom([]any{nil, true, 7.5, "", "x", "orders:read", "grantor:admin", "orders:*", "é\u0000", []any{}, map[string]any{}, strings.Repeat("y", 300)})
	if depth > 3 || rapid.IntRange(0, 9).Draw(t, "odd?") == 0 {
		return odd.Draw(t, "odd")
	}
	switch s.Type {
	case "object":
		o := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) || rapid.IntRange(0, 3).Draw(t, name) == 0 {
				o[name] = d.value(t, p, depth+1)
			}
		}
		if rapid.IntRange(0, 19).Draw(t, "more?") == 0 {
			o["surprise"] = 1
		}
		return o
	case "array":
		list := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "length") {
			list = append(list, d.value(t, *s.Items, depth+1))
		}
		return list
	case "boolean":
		return rapid.Bool().Draw(t, "bool")
	case "integer":
		return rapid.IntRange(-5, 5000).Draw(t, "int")
	}
	if len(s.Enum) > 0 {
		return rapid.SampledFrom(s.Enum).Draw(t, "enum")
	}
	return rapid.SampledFrom(append([]string{"job-1", "a good password", "orders:read", "ada", "https://x.example.com", "2030-01-01T00:00:00Z"}, s.Examples...)).Draw(t, "text")
}

// TestOpenAPI: whatever is asked, every answer is one that the document describes, and never a 5xx.
func TestOpenAPI(t *testing.T) {
	text, err := os.ReadFile("../server/openapi.json")
	require.NoError(t, err)
	parsed, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	check, errs := validator.NewValidator(parsed)
	require.Empty(t, errs)
	valid, wrong := check.ValidateDocument()
	require.True(t, valid, "%v", wrong)
	var doc document
	require.NoError(t, json.Unmarshal(text, &doc))

	d := operated(t, redistest.Start(t), "")
	p := d.serve(t)
	secret := d.client(t, "op", "grantor:admin grantor:clients orders:read")
	var token string
	within(t, func() bool {
		token = post(t, p.URL+"/oauth2/token", "op", secret, credentials("grantor:admin grantor:clients")).text("access_token")
		return token != ""
	})
	var served, written any
	require.NoError(t, json.Unmarshal(text, &written))
	require.NoError(t, json.Unmarshal([]byte(p.ask(token, "GET", "/admin/v1/openapi.json", nil).body), &served))
	require.True(t, reflect.DeepEqual(written, served), "another document is served")
	ids := []string{"job-1", "op", "machine", "nothing", "a/b {c}", "é"}
	asked := map[string]map[int]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom(slices.Sorted(func(yield func(string) bool) {
			for k := range doc.Paths {
				if !yield(k) {
					return
				}
			}
		})).Draw(rt, "path")
		method := rapid.SampledFrom(slices.Sorted(func(yield func(string) bool) {
			for k := range doc.Paths[path] {
				if !yield(k) {
					return
				}
			}
		})).Draw(rt, "method")
		op := doc.Paths[path][method]
		where := path
		for _, name := range []string{"{id}", "{sub}", "{secret}", "{session}"} {
			id := rapid.SampledFrom(ids).Draw(rt, name)
			if (method == "delete" || strings.HasSuffix(path, "disable")) && id == "op" {
				id = "job-1" // or nobody could ask any more
			}
			where = strings.Replace(where, name, url.PathEscape(id), 1)
		}
		if rapid.IntRange(0, 4).Draw(rt, "query?") == 0 && method == "get" {
			where += rapid.SampledFrom([]string{"?limit=1", "?limit=x", "?cursor=zz", "?limit=5000", "?username=ada"}).Draw(rt, "query")
		}
		var body []byte
		if op.RequestBody != nil {
			v := doc.value(rt, op.RequestBody.Content["application/json"].Schema, 0)
			if o, ok := v.(map[string]any); ok && strings.Contains(where, "/clients/op") {
				delete(o, "scope")
				delete(o, "grant_types")
				delete(o, "disabled")
				delete(o, "secrets")
				delete(o, "token_endpoint_auth_method")
				delete(o, "access_ttl")
			}
			body, _ = json.Marshal(v)
		}
		if strings.Contains(where, "/clients/op/") && method == "post" {
			return // its secret and its tokens are what this test lives on
		}
		req, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), p.where("The admin API")+where, bytes.NewReader(body))
		require.NoError(rt, err)
		if rapid.IntRange(0, 9).Draw(rt, "token?") > 0 {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		require.NoError(rt, err)
		answer, err := io.ReadAll(res.Body)
		require.NoError(rt, err)
		require.NoError(rt, res.Body.Close())
		require.Less(rt, res.StatusCode, 500, "%s %s %s: %s", method, where, body, answer)
		require.Contains(rt, op.Responses, itoa(res.StatusCode), "%s %s %s: %s", method, where, body, answer)
		if asked[op.OperationID] == nil {
			asked[op.OperationID] = map[int]bool{}
		}
		asked[op.OperationID][res.StatusCode] = true
		if len(answer) == 0 {
			return
		}
		res.Body = io.NopCloser(bytes.NewReader(answer))
		good, problems := check.ValidateHttpResponse(req, res)
		for _, problem := range problems {
			if strings.Contains(problem.Message, "Path") { // an id with a slash is beyond the validator's router, not beyond the server
				return
			}
			rt.Logf("%s: %s", problem.Message, problem.Reason)
		}
		require.True(rt, good, "%s %s -> %d %s", method, where, res.StatusCode, answer)
	})
	require.Greater(t, len(asked), 20, "operations asked: %v", asked)
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }
