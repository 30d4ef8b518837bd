package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exchangeConfig has services, and clients whose tokens they exchange. policy is that of "shop".
func exchangeConfig(policy string) string {
	const grant, bearer = "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"
	secret := "secrets = [{ hash = \"" + goodHash + "\" }]\n"
	client := func(id, grants, scope, more string) string {
		return "[[clients]]\nclient_id = \"" + id + "\"\ngrant_types = [" + grants + "]\nscope = \"" + scope + "\"\n" + more + secret
	}
	return minimal + "grants.password = true\n[[trusted_issuers]]\nissuer = \"https://idp.example.com\"\n[scopes]\n\"orders:read\" = { resource = \"https://orders.example.com\" }\n" +
		"\"stock:read\" = { resource = \"https://stock.example.com\" }\nplain = {}\n" +
		client("app", `"password", "refresh_token"`, "orders:read stock:read", "") +
		client("job", `"client_credentials"`, "orders:read plain", "audience = [\"https://plain.example.com\"]\n") +
		client("other", `"client_credentials"`, "stock:read", "") +
		client("api", "", "orders:read", "") +
		client("desk", `"`+grant+`"`, "orders:read", "exchange = { subject_clients = [\"app\"] }\n") +
		client("partner", `"`+bearer+`"`, "orders:read plain", "exchange = { subject_issuers = [\"https://idp.example.com\"], scope = \"orders:read\" }\n") +
		client("porch", `"`+grant+`"`, "orders:read", "exchange = { subject_issuers = [\"https://idp.example.com\"], scope = \"orders:read\" }\n") +
		client("hall", `"`+grant+`"`, "plain", "exchange = { subject_clients = [\"job\"] }\n") +
		client("shop", `"`+grant+`"`, "orders:read plain", "exchange = { "+policy+" }\n")
}

func exchangeWarnings(t *testing.T, policy string) (list []string) {
	t.Helper()
	_, warnings, err := Load(Options{Path: write(t, exchangeConfig(policy))})
	require.NoError(t, err)
	for _, w := range warnings {
		if strings.Contains(w, "exchange") {
			list = append(list, w)
		}
	}
	return list
}

func TestExchangeWarnings(t *testing.T) {
	for _, c := range []struct{ name, policy, want string }{
		{"an unknown client", `subject_clients = ["ap"]`, `client "shop": exchange: subject_clients: no client has the id "ap"; did you mean "app"?`},
		{"an unknown actor", `subject_clients = ["app"], actors = ["nobody"]`, `client "shop": exchange: actors: no client has the id "nobody"`},
		{"a client without grant types", `subject_clients = ["api"]`, `"api" has no grant type, so it has no tokens`},
		{"exchanged tokens at depth 1", `subject_clients = ["desk"]`, `"desk" has exchanged tokens alone: set max_depth = 2 or more`},
		{"its own exchanged tokens", `subject_clients = ["shop"], max_depth = 2`, "nobody exchanges a token twice"},
		{"users' tokens of a machine", `subject_clients = ["job"], subject_types = ["user"]`, `"job" has no tokens for a subject of subject_types: its own are for "client"`},
		{"users' tokens of a client that has those of another issuer alone", `subject_clients = ["partner"], subject_types = ["user"], max_depth = 2`, `"partner" has no tokens for a subject of subject_types: its own are for "external"`},
		{"another issuer's subjects of a machine", `subject_clients = ["job"], subject_types = ["external"]`, `"job" has no tokens for a subject of subject_types`},
		{"tokens for JWTs of another issuer at depth 1", `subject_clients = ["partner"]`, `"partner" has exchanged tokens alone: set max_depth = 2 or more`},
		{"tokens that were exchanged for such JWTs at depth 1", `subject_clients = ["porch"], subject_types = ["external"]`, `"porch" has exchanged tokens alone: set max_depth = 2 or more`},
		{"a scope that the policy of the other client never gives", `subject_clients = ["partner"], scope = "plain", max_depth = 2`, `"partner" has no scope that this client and its policy have too`},
		{"machines' tokens of an app", `subject_clients = ["app"], subject_types = ["client"]`, `"app" has no tokens for a subject of subject_types: its own are for "user"`},
		{"no scope in common", `subject_clients = ["other"]`, `"other" has no scope that this client and its policy have too`},
		{"no resource in common", `subject_clients = ["app"], audience = ["https://stock.example.com"]`, `"app" has no tokens for a resource in audience`},
	} {
		t.Run("TX-08 "+c.name+" is warned of", func(t *testing.T) {
			list := exchangeWarnings(t, c.policy)
			require.Len(t, list, 1)
			require.Contains(t, list[0], c.want)
		})
	}
	for name, policy := range map[string]string{
		"users' tokens": `subject_clients = ["app"], subject_types = ["user"], audience = ["https://orders.example.com"]`,
		"machines' tokens, for the audience of a machine whose scopes have none": `subject_clients = ["job"], scope = "plain", audience = ["https://plain.example.com"]`,
		"exchanged tokens":                  `subject_clients = ["desk"], max_depth = 2`,
		"tokens for JWTs of another issuer": `subject_clients = ["partner", "porch"], subject_types = ["external"], max_depth = 2, audience = ["https://orders.example.com"]`,
		"exchanged tokens of a scope without resource, for the audience of the first token": `subject_clients = ["hall"], max_depth = 2, audience = ["https://plain.example.com"]`,
		"every client": `subject_clients = ["*"], subject_types = ["client"]`,
		"RFC 3986 §6.2 a resource as others spell it": `subject_clients = ["app"], audience = ["https://ORDERS.example.com:443/"]`,
	} {
		t.Run("TX-08 no warning: "+name, func(t *testing.T) { require.Empty(t, exchangeWarnings(t, policy)) })
	}
	t.Run("TX-08 with a store in Redis a client may be registered there", func(t *testing.T) {
		text := strings.Replace(exchangeConfig(`subject_clients = ["elsewhere"]`), minimal, "redis.url = \"redis://127.0.0.1:1\"\n", 1)
		_, warnings, err := Load(Options{Path: write(t, text)})
		require.NoError(t, err)
		require.Contains(t, strings.Join(warnings, "\n"), `no client of the configuration has the id "elsewhere": if none is registered in Redis, it says nothing`)
	})
	t.Run("RFC 7519 §4.1.3 an audience that is no URI is one that [tokens] audience_names permits", func(t *testing.T) {
		text := exchangeConfig(`subject_clients = ["app"], audience = ["https://orders.example.com", "rabbitmq"]`)
		_, _, err := Load(Options{Path: write(t, text)})
		require.ErrorContains(t, err, `permit it: [tokens] audience_names = ["rabbitmq"]`)
		_, _, err = Load(Options{Path: write(t, strings.Replace(text, minimal, minimal+"tokens.audience_names = [\"rabbitmq\"]\n", 1))})
		require.NoError(t, err)
	})
}
