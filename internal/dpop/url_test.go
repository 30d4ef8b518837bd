package dpop

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNormalURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example":                  "https://a.example/",
		"HTTPS://A.Example:443":              "https://a.example/",
		"http://a.example:80/x":              "http://a.example/x",
		"http://a.example:443/x":             "http://a.example:443/x",
		"https://a.example:8443/x":           "https://a.example:8443/x",
		"https://a.example:/x":               "https://a.example/x",
		"https://a.example/X/y/":             "https://a.example/X/y/",
		"https://a.example/x?y=1#z":          "https://a.example/x",
		"https://a.example/%7eu/%2f%c3%a9":   "https://a.example/~u/%2F%C3%A9",
		"https://a.example/a/./b/../c":       "https://a.example/a/c",
		"https://a.example/a/%2e%2E/c":       "https://a.example/c",
		"https://a.example/../../c/.":        "https://a.example/c/",
		"https://a.example/a/..":             "https://a.example/",
		"https://a.example//a//b":            "https://a.example//a//b",
		"https://a.example/.well-known/x":    "https://a.example/.well-known/x",
		"https://a.example/é":                "https://a.example/%C3%A9",
		"https://a.example/a;b=1,2@c:d!$&'*": "https://a.example/a;b=1,2@c:d!$&'*",
		"http://[::1]:8080/":                 "http://[::1]:8080/",
		"https://u@a.example/":               "",
		"ftp://a.example/":                   "",
		"/x":                                 "",
		"a.example":                          "",
		"https:///x":                         "",
		"https:x":                            "",
		"https://a.example/%zz":              "",
		"":                                   "",
	} {
		got, err := NormalURL(text)
		require.Equal(t, want, got, "RFC 3986 §6.2.2, §6.2.3 %s", text)
		require.Equal(t, want == "", err != nil, text)
	}
}

// FuzzNormalURL: what is normal stays so, and never gains query, fragment or user.
func FuzzNormalURL(f *testing.F) {
	f.Add("HTTPS://a.example:443/%7e/../b?x#y")
	f.Add("https://a.example/%2e%2e%2f..;/%")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := NormalURL(text)
		if err != nil {
			require.Empty(t, once)
			return
		}
		twice, err := NormalURL(once)
		require.NoError(t, err)
		require.Equal(t, once, twice)
		require.NotContains(t, once, "?")
		require.NotContains(t, once, "#")
	})
}
