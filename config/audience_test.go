package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAudiences(t *testing.T) {
	const client = "[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n"
	for name, c := range map[string]struct{ text, want string }{
		"RI-08 RFC 7519 §4.1.3 a resource that is no URI, without permission": {minimal + "[scopes]\na = { resource = \"rabbitmq\" }\n",
			`config.toml:3:7: scopes.a.resource: a resource is an absolute URI without a fragment, as in "https://orders.example.com"; where a verifier demands the name "rabbitmq", permit it: [tokens] audience_names = ["rabbitmq"]`},
		"RI-08 a client's resource too": {minimal + client + "resource = \"rabbitmq\"\n", `config.toml:5:1: clients[0].resource: a resource is an absolute URI`},
		"RI-08 a client's audience too": {minimal + client + "audience = [\"kafka\"]\n", `config.toml:5:1: clients[0].audience: a resource is an absolute URI`},
		"RI-08 RFC 7519 §2 a name with a colon": {minimal + "[tokens]\naudience_names = [\"a\", \"b:c\"]\n",
			`config.toml:3:1: tokens.audience_names[1]: a name of an audience holds printable ASCII without spaces, quotes, backslashes and colons; what has a colon is a URI (RFC 7519 §2)`},
		"RI-07 two spellings of one resource": {minimal + "[scopes]\na = { resource = \"https://x.example\" }\nb = { resource = \"https://X.example:443/\" }\n",
			`config.toml:4:7: scopes.b.resource: names the same resource as "https://x.example" of the scope "a"`},
		"RI-07 RFC 9700 §2.3 Grantor's own resource in another spelling": {minimal + "issuer = \"https://a.example\"\n[scopes]\na = { resource = \"https://A.example:443/%61dmin\" }\n",
			`config.toml:4:7: scopes.a.resource: is reserved for the audience of grantor:… scopes`},
		"SC-09 a scope that would be a wildcard":       {minimal + "[scopes]\n\"orders:*\" = {}\n", `config.toml:3:1: scopes.orders:*: a wildcard is no scope`},
		"SC-09 a wildcard that is none":                {minimal + "[scopes]\n\"orders:read\" = {}\n" + client + "scope = \"orders*\"\n", `clients[0].scope: "orders*" is not in [scopes], and is no wildcard: a wildcard ends in ":*"`},
		"AT-22 a type that is none":                    {minimal + "[scopes]\na = { resource = \"https://x.example\", jwt_typ = \"jwt\" }\n", `config.toml:3:39: scopes.a.jwt_typ: must be "at+jwt" or "JWT"`},
		"AT-22 a type of nothing":                      {minimal + "[scopes]\na = { jwt_typ = \"JWT\" }\n", `config.toml:3:7: scopes.a.jwt_typ: needs a resource`},
		"AT-22 a client's type that is none":           {minimal + client + "jwt_typ = \"jwt\"\n", `config.toml:5:1: clients[0].jwt_typ: must be "at+jwt" or "JWT"`},
		"AT-22 scopes of one resource that contradict": {minimal + "[scopes]\na = { resource = \"https://x.example\", jwt_typ = \"JWT\" }\nb = { resource = \"https://x.example\", jwt_typ = \"at+jwt\" }\n", `scopes.b.jwt_typ: contradicts the scope "a"`},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, mistakes(t, c.text), c.want) })
	}
	t.Run("RI-08 SC-09 AT-22 what is permitted is sound", func(t *testing.T) {
		_, _, err := Load(Options{Path: write(t, minimal+"[tokens]\naudience_names = [\"rabbitmq\"]\n[scopes]\n\"rabbitmq.read:*/*\" = { resource = \"rabbitmq\", jwt_typ = \"JWT\" }\n"+
			client+"resource = \"rabbitmq\"\naudience = [\"rabbitmq\"]\njwt_typ = \"JWT\"\nscope = \"rabbitmq.read:*/* rabbitmq.read:*\"\n")})
		require.NoError(t, err)
	})
}
