package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exchangeConfig has services, and clients whose tokens they exchange. policy is that of "shop".
func exchangeConfig(policy string) string {
	const grant = "urn:ietf:params:oauth:grant-type:token-exchange"
	secret := "secrets = [{ hash = \"" + goodHash + "\" }]\n"
	client := func(id, grants, scope, more string) string {
		return "[[clients]]\nclient_id = \"" + id + "\"\ngrant_types = [" + grants + "]\nscope = \"" + scope + "\"\n" + more + secret
	}
	return minimal + "grants.password = true\n[scopes]\n\"orders:read\" = { resource = \"https://orders.example.com\" }\n" +
		"\"stock:read\" = { resource = \"https://stock.example.com\" }\nplain = {}\n" +
		client("app", `"password", "refresh_token"`, "orders:read stock:read", "") +
		client("job", `"client_credentials"`, "orders:read plain", "audience = [\"https://plain.example.com\"]\n") +
		client("other", `"client_credentials"`, "stock:read", "") +
		client("api", "", "orders:read", "") +
		client("desk", `"`+grant+`"`, "orders:read", "exchange = { subject_clients = [\"app\"] }\n") +
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
		{"users' tokens of a machine", `subject_clients = ["job"], subject_types = ["user"]`, `"job" has no users' tokens`},
		{"machines' tokens of an app", `subject_clients = ["app"], subject_types = ["client"]`, `"app" has users' tokens alone`},
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
		"exchanged tokens": `subject_clients = ["desk"], max_depth = 2`,
		"every client":     `subject_clients = ["*"], subject_types = ["client"]`,
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
