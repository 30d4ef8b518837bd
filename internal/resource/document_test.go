package resource_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/resource"
)

func TestWhere(t *testing.T) {
	for text, want := range map[string]resource.Location{
		"https://a.example":              {URL: "https://a.example" + resource.WellKnown, Path: resource.WellKnown},
		"https://a.example/":             {URL: "https://a.example" + resource.WellKnown, Path: resource.WellKnown},
		"https://a.example:8443/mcp":     {URL: "https://a.example:8443" + resource.WellKnown + "/mcp", Path: resource.WellKnown + "/mcp"},
		"https://a.example/mcp/":         {URL: "https://a.example" + resource.WellKnown + "/mcp/", Path: resource.WellKnown + "/mcp/"},
		"https://a.example/?tenant=1":    {URL: "https://a.example" + resource.WellKnown + "?tenant=1", Path: resource.WellKnown},
		"https://a.example/a%20b":        {URL: "https://a.example" + resource.WellKnown + "/a%20b", Path: resource.WellKnown + "/a b"},
		"http://127.0.0.1:8090/mcp":      {URL: "http://127.0.0.1:8090" + resource.WellKnown + "/mcp", Path: resource.WellKnown + "/mcp"},
		"http://localhost/mcp":           {URL: "http://localhost" + resource.WellKnown + "/mcp", Path: resource.WellKnown + "/mcp"},
		"https://user@a.example":         {},
		"https://a.example/#x":           {},
		"https://a.example/#":            {},
		"http://a.example":               {},
		"urn:example:orders":             {},
		"rabbitmq":                       {},
		"":                               {},
		"https://a.example/\"x":          {},
		"https://a.example/?a=\"b":       {},
		"https://a.example/?a=b\r\nX: y": {},
	} {
		t.Run("PR-01 RFC 9728 §3.1 "+text, func(t *testing.T) {
			at, err := resource.Where(text)
			require.Equal(t, want == resource.Location{}, err != nil)
			require.Equal(t, want, at)
		})
	}
}
