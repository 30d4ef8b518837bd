package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
)

// keycloakClient is a ClientRepresentation of Keycloak.
type keycloakClient struct {
	ClientID       string            `json:"clientId"`
	Name           string            `json:"name"`
	Enabled        *bool             `json:"enabled"`
	Protocol       string            `json:"protocol"`
	Public         bool              `json:"publicClient"`
	BearerOnly     bool              `json:"bearerOnly"`
	ServiceAccount bool              `json:"serviceAccountsEnabled"`
	DirectAccess   bool              `json:"directAccessGrantsEnabled"`
	Standard       bool              `json:"standardFlowEnabled"`
	Implicit       bool              `json:"implicitFlowEnabled"`
	Authenticator  string            `json:"clientAuthenticatorType"`
	Secret         string            `json:"secret"`
	RedirectURIs   []string          `json:"redirectUris"`
	Origins        []string          `json:"webOrigins"`
	Mappers        []json.RawMessage `json:"protocolMappers"`
	Default        []string          `json:"defaultClientScopes"`
	Optional       []string          `json:"optionalClientScopes"`
	Attributes     map[string]string `json:"attributes"`
}

// keycloakRealm is a RealmRepresentation, or a list of them as "kc.sh export --file" writes.
type keycloakRealm struct {
	Realm   string           `json:"realm"`
	Clients []keycloakClient `json:"clients"`
	Users   []keycloakUser   `json:"users"`
	Roles   struct {
		Client map[string][]json.RawMessage `json:"client"`
	} `json:"roles"`
}

type keycloakUser struct {
	Username string `json:"username"`
	Account  string `json:"serviceAccountClientId"`
}

// ownClients are those that Keycloak makes in every realm.
func ownClients() []string {
	return []string{"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}
}

// keycloak reads the export of one realm.
func keycloak(text []byte, o Options) ([]Item, error) {
	realms, err := list[keycloakRealm](text, "realms")
	if err != nil {
		return nil, err
	}
	switch r := &realms[0]; {
	case len(realms) > 1:
		var names []string
		for _, r := range realms {
			names = append(names, r.Realm)
		}
		return nil, fmt.Errorf("the file has the realms %s: one Grantor is one realm; export one with --realm", strings.Join(names, ", "))
	case r.Realm == "" || len(r.Clients) == 0:
		return nil, errors.New("the file is no export of a realm with its clients: kc.sh export writes one")
	}
	return realms[0].items(o)
}

func (r *keycloakRealm) items(o Options) ([]Item, error) {
	var items []Item
	lack := missing{}
	if len(r.Clients) > MaxItems {
		return nil, fmt.Errorf("the realm has %d clients, and %d at most are written in one step: split its list of clients over files of {\"realm\": …, \"clients\": […]}", len(r.Clients), MaxItems)
	}
	for n := range r.Clients {
		c := &r.Clients[n]
		if c.ClientID == "" {
			return nil, fmt.Errorf("client %d of the realm has no clientId", n+1)
		}
		i := c.item(o, lack)
		if i.Refused == "" {
			i.leaveOut("client roles", len(r.Roles.Client[c.ClientID]) > 0)
		}
		items = append(items, i)
	}
	for _, u := range r.Users {
		if u.Account == "" {
			items = append(items, refused(KindUser, u.Username, "users are no clients: bring them by a directory, docs/guides/users.md"))
		}
	}
	return items, lack.err()
}

func (c *keycloakClient) item(o Options, lack missing) Item {
	i := Item{Kind: KindClient, Name: c.ClientID, Client: &clients.Registration{ID: c.ClientID}}
	if why := c.unfit(); why != "" {
		return refused(KindClient, c.ClientID, "%s", why)
	}
	if c.ServiceAccount {
		i.Client.Grants = append(i.Client.Grants, clients.GrantClientCredentials)
	}
	if c.DirectAccess {
		i.Client.Grants = append(i.Client.Grants, clients.GrantPassword, clients.GrantRefreshToken)
	}
	if problem := c.credentials(&i); problem != "" {
		return refused(KindClient, c.ClientID, "%s", problem)
	}
	i.name(c.Name)
	fixed := i.scope(c.Default, o, lack)
	i.Client.DefaultScope = strings.Join(fixed, " ")
	i.Client.Scope = strings.Join(append(fixed, i.scope(c.Optional, o, lack)...), " ")
	i.Client.Disabled = c.Enabled != nil && !*c.Enabled
	c.lifetimes(&i)
	i.leaveOut("standard flow", c.Standard)
	i.leaveOut("implicit flow", c.Implicit)
	i.leaveOut("redirectUris", len(c.RedirectURIs) > 0)
	i.leaveOut("webOrigins", len(c.Origins) > 0)
	i.leaveOut("protocolMappers", len(c.Mappers) > 0)
	return i
}

// unfit says why nothing becomes of a client.
func (c *keycloakClient) unfit() string {
	switch {
	case slices.Contains(ownClients(), c.ClientID):
		return "it is Keycloak's own"
	case c.Protocol != "" && c.Protocol != "openid-connect":
		return "its protocol " + c.Protocol + " is not served here"
	case c.BearerOnly:
		return "it asks for no tokens: register the API with --resource and --introspect audience"
	case c.ServiceAccount && c.Public:
		return "a public client cannot have client_credentials (RFC 6749 §4.4)"
	case !c.ServiceAccount && !c.DirectAccess:
		return "it has neither a service account nor direct access grants: its flows are not served here"
	}
	return ""
}

func (c *keycloakClient) credentials(i *Item) (problem string) {
	switch {
	case c.Public:
		i.Client.Method = clients.MethodNone
	case c.Authenticator == "client-jwt" && c.Attributes["use.jwks.url"] == "true":
		i.Client.Method, i.Client.JWKSURI = clients.MethodJWT, c.Attributes["jwks.url"]
	case c.Authenticator != "" && c.Authenticator != "client-secret":
		return "it authenticates by " + c.Authenticator + ": register its keys by hand"
	case c.Secret != "" && strings.Trim(c.Secret, "*") == "":
		return "its secret is masked: kc.sh export writes secrets, the console's partial export does not"
	case strings.HasPrefix(c.Secret, "${vault."):
		return "its secret is in a vault: register it with --secret-file"
	default:
		return i.setSecret(c.Secret, time.Time{})
	}
	return ""
}

// lifetimes takes those that the client has of its own, in seconds.
func (c *keycloakClient) lifetimes(i *Item) {
	set := func(into *clients.Duration, name string) {
		if n, err := strconv.Atoi(c.Attributes[name]); err == nil && n > 0 {
			*into = clients.Duration(time.Duration(n) * time.Second)
		}
	}
	set(&i.Client.AccessTTL, "access.token.lifespan")
	if slices.Contains(i.Client.Grants, clients.GrantPassword) {
		set(&i.Client.RefreshTTL, "client.session.idle.timeout")
		set(&i.Client.MaxTTL, "client.session.max.lifespan")
	}
}
