package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// schema is what the generator reads of a JSON schema.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Enum       []string          `json:"enum"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	AllOf      []schema          `json:"allOf"`
	Not        *struct{}         `json:"not"`
	Examples   []any             `json:"examples"`
}

type operation struct {
	OperationID string                `json:"operationId"`
	Security    []map[string][]string `json:"security"`
	RequestBody *struct {
		Content map[string]struct {
			Schema   schema
			Examples map[string]struct{ Value any }
		}
	} `json:"requestBody"`
	Responses map[string]struct {
		Ref     string `json:"$ref"`
		Headers map[string]any
	}
}

// document is the description, and the judge of answers by it.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas   map[string]schema
		Responses map[string]struct{ Headers map[string]any }
	}
	text  []byte
	check validator.Validator
}

func readDocument(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile("../server/openapi.json")
	require.NoError(t, err)
	parsed, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	d := &document{text: text}
	require.NoError(t, json.Unmarshal(text, d))
	var errs []error
	d.check, errs = validator.NewValidator(parsed, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	require.Empty(t, errs)
	return d
}

// call is a request for an operation.
type call struct {
	method, path  string // the path as the document has it
	ids           map[string]string
	query         string
	token, media  string
	body          []byte
	authorization bool
}

var braces = regexp.MustCompile(`\{(\w+)\}`)

func (c *call) where(id func(name string) string) string {
	return braces.ReplaceAllStringFunc(c.path, func(name string) string { return id(strings.Trim(name, "{}")) }) + c.query
}

func (c *call) request(t require.TestingT, base string, id func(string) string) *http.Request {
	req, err := http.NewRequest(strings.ToUpper(c.method), base+c.where(id), bytes.NewReader(c.body)) //nolint:noctx // rapid has none
	require.NoError(t, err)
	if c.media != "" {
		req.Header.Set("Content-Type", c.media)
	}
	if c.authorization {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req
}

// send asks the admin listener and demands an answer that the document describes. A 503 on a busy
// machine is described too, and over when it says so; one that stays is a fault.
func (d *document) send(t require.TestingT, base string, c *call) (status int, answer []byte) {
	var res *http.Response
	for range 5 {
		var err error
		res, err = http.DefaultClient.Do(c.request(t, base, func(name string) string { return url.PathEscape(c.ids[name]) }))
		require.NoError(t, err)
		answer, err = io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		d.judge(t, c, res, answer)
		if res.StatusCode != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(time.Second)
	}
	require.Less(t, res.StatusCode, 500, "%s %s %s: %s", c.method, c.where(func(n string) string { return c.ids[n] }), c.body, answer)
	return res.StatusCode, answer
}

// judge holds an answer against the document: status, headers, body. What was accepted, the
// document must have allowed.
func (d *document) judge(t require.TestingT, c *call, res *http.Response, answer []byte) {
	what := fmt.Sprintf("%s %s %s%s %.500s -> %d %s", c.method, c.path, c.ids, c.query, c.body, res.StatusCode, answer)
	described, ok := d.Paths[c.path][c.method].Responses[fmt.Sprint(res.StatusCode)]
	require.True(t, ok, what)
	headers := described.Headers
	if described.Ref != "" {
		headers = d.Components.Responses[strings.TrimPrefix(described.Ref, "#/components/responses/")].Headers
	}
	for _, name := range []string{"Www-Authenticate", "Retry-After", "Location", "Allow"} {
		if res.Header.Get(name) != "" {
			require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(headers)), func(h string) bool { return strings.EqualFold(h, name) }), "%s: %s", name, what)
		}
	}
	plain := c.request(t, "http://localhost", func(string) string { return "x" }) // ids are beyond the validator's router, not beyond the server
	res.Body = io.NopCloser(bytes.NewReader(answer))
	good, problems := d.check.ValidateHttpResponse(plain, res)
	require.True(t, good, "%s: %v", what, problems)
	require.Equal(t, len(answer) == 0, res.StatusCode == http.StatusNoContent, what)
	if res.StatusCode >= 300 {
		return
	}
	accepted := *c
	accepted.body = withoutNothing(c.body)
	good, problems = d.check.ValidateHttpRequestSync(accepted.request(t, "http://localhost", func(string) string { return "x" }))
	require.True(t, good, "accepted, and not described: %s: %v", what, problems)
}

// withoutNothing leaves out members that are null or empty texts: they count as absent.
func withoutNothing(body []byte) []byte {
	var o map[string]any
	if json.Unmarshal(body, &o) != nil {
		return body
	}
	leaveOutNothing(o)
	text, err := json.Marshal(o)
	if err != nil {
		return body
	}
	return text
}

func leaveOutNothing(value any) {
	switch v := value.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(_ string, inner any) bool { return inner == nil || inner == "" })
		for _, inner := range v {
			leaveOutNothing(inner)
		}
	case []any:
		for _, inner := range v {
			leaveOutNothing(inner)
		}
	}
}

// resolve follows $ref and joins allOf.
func (d *document) resolve(s schema) schema {
	if s.Ref != "" {
		return d.resolve(d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")])
	}
	if len(s.AllOf) == 0 {
		return s
	}
	whole := schema{Type: "object", Properties: maps.Clone(s.Properties), Required: s.Required}
	if whole.Properties == nil {
		whole.Properties = map[string]schema{}
	}
	for _, part := range s.AllOf {
		part = d.resolve(part)
		maps.Copy(whole.Properties, part.Properties)
		whole.Required = append(whole.Required, part.Required...)
	}
	return whole
}

// value draws something for a schema; where wrong, not always something that fits.
func (d *document) value(t *rapid.T, s schema, wrong bool) any {
	s = d.resolve(s)
	if s.Not != nil || wrong && rapid.IntRange(0, 9).Draw(t, "odd?") == 0 {
		return rapid.SampledFrom([]any{nil, true, 7.5, -1, "", "x", "orders:read", "grantor:admin", "grantor:*", "orders:*", "é\u0000", "a\nb", []any{},
			[]any{"x"}, []any{nil}, map[string]any{}, map[string]any{"keys": []any{}}, strings.Repeat("y", 300), "0001-01-01T00:00:00Z", "-5m", "9999999h"}).Draw(t, "odd")
	}
	if len(s.Examples) > 0 && (s.Type == "object" || rapid.IntRange(0, 3).Draw(t, "example?") > 0) {
		return rapid.SampledFrom(s.Examples).Draw(t, "example")
	}
	switch s.Type {
	case "object":
		return d.object(t, s, wrong)
	case "array":
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, d.value(t, *s.Items, wrong))
		}
		return list
	case "boolean":
		return rapid.Bool().Draw(t, "truth")
	}
	if len(s.Enum) > 0 {
		return rapid.SampledFrom(s.Enum).Draw(t, "enum")
	}
	return rapid.SampledFrom([]string{"job-1", "a good password", "orders:read", "ada", "https://x.example.com", "2030-01-01T00:00:00Z", "1h30m", "0"}).Draw(t, "text")
}

func (d *document) object(t *rapid.T, s schema, wrong bool) map[string]any {
	o := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		due := slices.Contains(s.Required, name)
		if wrong && due {
			due = rapid.IntRange(0, 9).Draw(t, "left out?") > 0
		}
		if due || (p.Not == nil || wrong) && rapid.IntRange(0, 6).Draw(t, name) == 0 {
			o[name] = d.value(t, p, wrong)
		}
	}
	if wrong && rapid.IntRange(0, 9).Draw(t, "surprise?") == 0 {
		o["surprise"] = 1
	}
	return o
}

// draw makes a call of one of the document's operations.
func (d *document) draw(t *rapid.T, ids map[string][]string, tokens map[string][]string) *call {
	c := &call{ids: map[string]string{}, media: "application/json", authorization: true}
	c.path = rapid.SampledFrom(slices.Sorted(maps.Keys(d.Paths))).Draw(t, "path")
	c.method = rapid.SampledFrom(slices.Sorted(maps.Keys(d.Paths[c.path]))).Draw(t, "method")
	op := d.Paths[c.path][c.method]
	for _, m := range braces.FindAllStringSubmatch(c.path, -1) {
		c.ids[m[1]] = rapid.SampledFrom(ids[m[1]]).Draw(t, m[1])
	}
	if c.method == "get" {
		c.query = rapid.SampledFrom([]string{"", "", "?limit=1", "?limit=x", "?limit=1001", "?cursor=zz", "?cursor=0.zz", "?cursor=3.0", "?cursor=fff.1", "?username=ada", "?username=%00"}).Draw(t, "query")
	}
	for _, s := range op.Security {
		for scheme := range s {
			pool := tokens[scheme]
			if n := rapid.IntRange(0, 9).Draw(t, "token?"); n < 8 {
				c.token = pool[0]
			} else {
				c.token = rapid.SampledFrom(append([]string{"", "a b", "x", "gat_x", "é"}, pool...)).Draw(t, "token")
			}
			if len(pool) > 1 && scheme == "registration" && c.token == pool[0] {
				c.ids["id"] = pool[1]
			}
		}
	}
	c.authorization = rapid.IntRange(0, 19).Draw(t, "authorization?") > 0
	if op.RequestBody == nil {
		return c
	}
	wrong := rapid.Bool().Draw(t, "wrong?")
	v := d.value(t, op.RequestBody.Content["application/json"].Schema, wrong)
	if o, ok := v.(map[string]any); ok && !wrong && op.OperationID == "replaceRegistration" {
		o["client_id"] = c.ids["id"]
		delete(o, "client_secret")
	}
	c.body, _ = json.Marshal(v)
	if wrong && rapid.IntRange(0, 9).Draw(t, "no JSON?") == 0 {
		c.body = []byte(rapid.SampledFrom([]string{"", "null", "[]", "{", "{}{}", `{"a":` + strings.Repeat("[", 5000), tooLarge}).Draw(t, "body"))
		c.media = rapid.SampledFrom([]string{"application/json", "application/json; charset=utf-8", "text/plain", ""}).Draw(t, "media type")
	}
	return c
}

// tooLarge is JSON beyond 64 kB.
var tooLarge = `{"a":"` + strings.Repeat("x", 70_000) + `"}`

func TestOpenAPI(t *testing.T) {
	doc := readDocument(t)
	valid, wrong := doc.check.ValidateDocument()
	require.True(t, valid, "%v", wrong)
	t.Run("a registration has the members that the document names", func(t *testing.T) {
		var names []string
		for f := range reflect.TypeFor[clients.Registration]().Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
		require.ElementsMatch(t, names, slices.Collect(maps.Keys(doc.Components.Schemas["ClientMembers"].Properties)))
	})
	o := openDeskOn(t, redistest.Start(t), "limits.registrations = -1\nlimits.registrations_per_hour = -1\n"+ // the search registers hundreds
		"trusted_proxies = [\"127.0.0.2\"]\ntls.mode = \"proxy\"\ntls.client_cert_header = \"Client-Cert\"\nkeys.encryption_key = \"the key of a test, 32 characters or more\"\n"+
		fmt.Sprintf("tls.client_ca_file = %q\n", certtest.NewCA(t).File(t))) // examples are a client with a certificate, and signing keys
	base := o.p.where("The admin API")
	require.JSONEq(t, string(doc.text), o.does(t, 200, "GET", "/admin/v1/openapi.json", nil).body, "the document is the one that is served")
	t.Run("each path answers the methods that the document names, and 405 to the others", func(t *testing.T) { doc.probe(t, base) })
	t.Run("each example of a request does what it says", func(t *testing.T) { doc.play(t, o, base) })

	weak := post(t, o.p.URL+"/oauth2/token", "api", o.api, clientCredentials).text("access_token")
	require.Empty(t, weak, "a client without grants")
	secret := o.job(t, "weak")
	weak, half := o.issued(t, "weak", secret), o.registrar(t)
	sub := o.user(t, "lou")
	o.logged(t, "lou", adaPassword)
	session := o.does(t, 200, "GET", userPath(sub)+"/sessions", nil).json["sessions"].([]any)[0].(members)["session"].(string)
	asked, statuses, calls := map[string]int{}, map[int]int{}, 0
	rapid.Check(t, func(rt *rapid.T) {
		own := o.p.ask(o.token, "POST", "/oauth2/register", members{"scope": "orders:read"})
		require.Equal(rt, 201, own.status, own.body) // by rt, which then looks for the shortest calls that lead here
		ids := map[string][]string{
			"id":      {"billing-job", "orders-api", "job-1", own.text("client_id"), "machine", "nobody", "a/b {c}+", "é"},
			"sub":     {"u-1", sub, "job-1", "nobody", "a/b {c}+", "é"},
			"secret":  {"00000000", "x", "9f86d081"},
			"key":     {"x", "2bZ8kQ0xqk7rW1vYp3nT5u"},
			"session": {session, "0bXQ3nJ5kF8sT1vYzR6mWc", "x"},
			"address": {"127.0.0.1", "2001:db8::1", "x"},
		}
		tokens := map[string][]string{"admin": {o.token, weak, half, own.text("registration_access_token")}, "registrar": {o.token, weak},
			"registration": {own.text("registration_access_token"), own.text("client_id")}}
		for range rapid.IntRange(10, 20).Draw(rt, "calls") {
			c := doc.draw(rt, ids, tokens)
			status, _ := doc.send(rt, base, c)
			asked[doc.Paths[c.path][c.method].OperationID]++
			statuses[status]++
			calls++
		}
	})
	t.Logf("%d calls of %d operations: %v", calls, len(asked), statuses)
	for path, methods := range doc.Paths {
		for method, op := range methods {
			require.Positive(t, asked[op.OperationID], "%s %s", method, path)
		}
	}
	for _, status := range []int{200, 201, 204, 400, 401, 403, 404, 409} {
		require.Positive(t, statuses[status], status)
	}
}

// probe asks every path by every method.
func (d *document) probe(t *testing.T, base string) {
	for path, methods := range d.Paths {
		served := slices.Collect(maps.Keys(methods))
		if slices.Contains(served, "get") { // RFC 9110 §9.1
			served = append(served, "head")
		}
		for _, method := range []string{"get", "head", "post", "put", "patch", "delete", "options"} {
			c := &call{method: method, path: path}
			res, err := http.DefaultClient.Do(c.request(t, base, func(string) string { return "x" }))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			if slices.Contains(served, method) {
				require.NotContains(t, []int{404, 405}, res.StatusCode, "%s %s", method, path)
				continue
			}
			require.Equal(t, 405, res.StatusCode, "%s %s", method, path)
			allowed := strings.Split(strings.ToLower(res.Header.Get("Allow")), ", ")
			require.ElementsMatch(t, served, allowed, path)
		}
	}
}

// play sends each example of a request body, in the order in which one needs the other.
func (d *document) play(t *testing.T, o desk, base string) {
	own := o.does(t, 201, "POST", "/oauth2/register", members{"scope": "orders:read"})
	played := 0
	for _, name := range []string{"registerClient", "replaceRegistration", "createClient", "createKey", "changeClient", "rotateSecret", "createUser", "changeUser", "explainToken", "revokeToken", "rotateSigningKeys"} {
		for path, methods := range d.Paths {
			for method, op := range methods {
				if op.OperationID != name {
					continue
				}
				examples := op.RequestBody.Content["application/json"].Examples
				require.NotEmpty(t, examples, name)
				for _, title := range slices.Sorted(maps.Keys(examples)) {
					c := &call{method: method, path: path, token: o.token, media: "application/json", authorization: true,
						ids: map[string]string{"id": "billing-job", "sub": "u-1"}}
					value := examples[title].Value.(map[string]any)
					if name == "replaceRegistration" {
						c.token, c.ids["id"], value["client_id"] = own.text("registration_access_token"), own.text("client_id"), own.text("client_id")
					}
					var err error
					c.body, err = json.Marshal(value)
					require.NoError(t, err)
					status, answer := d.send(t, base, c)
					require.Less(t, status, 300, "%s %s: %s", name, title, answer)
					played++
				}
				c := &call{method: method, path: path, token: o.token, media: "application/json", authorization: true,
					body: []byte(tooLarge), ids: map[string]string{"id": "billing-job", "sub": "u-1"}}
				status, _ := d.send(t, base, c)
				require.Equal(t, 413, status, name)
				c.media, c.body = "application/x-www-form-urlencoded", []byte("a=b")
				status, _ = d.send(t, base, c)
				require.Equal(t, 400, status, name)
			}
		}
	}
	with := 0
	for _, methods := range d.Paths {
		for _, op := range methods {
			if op.RequestBody != nil {
				with += len(op.RequestBody.Content["application/json"].Examples)
			}
		}
	}
	require.Equal(t, with, played, "an operation with a body is not played")
}
