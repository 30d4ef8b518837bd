package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// hydraClient is a row of Hydra's table hydra_client, of versions 1 and 2.
type hydraClient struct {
	ID            string      `json:"id"`
	Name          string      `json:"client_name"`
	Secret        *string     `json:"client_secret"` // its hash
	SecretEnds    json.Number `json:"client_secret_expires_at"`
	Scope         string      `json:"scope"`
	Grants        column      `json:"grant_types"`
	Audience      column      `json:"audience"`
	RedirectURIs  column      `json:"redirect_uris"`
	LogoutURIs    column      `json:"post_logout_redirect_uris"`
	Origins       column      `json:"allowed_cors_origins"`
	Contacts      column      `json:"contacts"`
	URI           string      `json:"client_uri"`
	Method        string      `json:"token_endpoint_auth_method"`
	SigningAlg    string      `json:"token_endpoint_auth_signing_alg"`
	JWKS          keySet      `json:"jwks"`
	JWKSURI       string      `json:"jwks_uri"`
	TokenStrategy string      `json:"access_token_strategy"`
	Metadata      keySet      `json:"metadata"`

	AccessCC       *int64 `json:"client_credentials_grant_access_token_lifespan"` // nanoseconds
	AccessPassword *int64 `json:"password_grant_access_token_lifespan"`
	RefreshFirst   *int64 `json:"password_grant_refresh_token_lifespan"`
	RefreshAgain   *int64 `json:"refresh_token_grant_refresh_token_lifespan"`
}

// column is a list: JSON, the text of JSON (SQLite, MySQL), or texts with "|" between (version 1).
type column []string

// UnmarshalJSON implements json.Unmarshaler.
func (c *column) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) != nil {
		return json.Unmarshal(text, (*[]string)(c))
	}
	switch {
	case s == "" || s == "null":
		return nil
	case strings.HasPrefix(s, "["):
		return json.Unmarshal([]byte(s), (*[]string)(c))
	}
	*c = strings.Split(s, "|")
	return nil
}

// keySet is an object: JSON, or the text of JSON.
type keySet []byte

// UnmarshalJSON implements json.Unmarshaler.
func (k *keySet) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		text = []byte(s)
	}
	*k = append([]byte(nil), text...)
	return nil
}

func (k keySet) empty() bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(k, &members) != nil {
		return true
	}
	keys := string(members["keys"])
	return len(members) == 0 || len(members) == 1 && (keys == "null" || keys == "[]")
}

// hydra reads the rows of hydra_client as JSON: a list, or one row after the other.
func hydra(text []byte, o Options) ([]Item, error) {
	all, err := list[hydraClient](text, "clients")
	if err != nil {
		return nil, err
	}
	var items []Item
	var wrong error
	lack := missing{}
	for n := range all {
		h := &all[n]
		if h.ID == "" || h.Secret == nil || h.Method == "" {
			wrong = errors.Join(wrong, fmt.Errorf("element %d is no row of hydra_client: id, client_secret or token_endpoint_auth_method is missing. \"hydra list clients\" has no secrets; export the table", n+1))
			continue
		}
		item, err := h.item(o, lack)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("element %d %q: %w", n+1, h.ID, err))
		}
		items = append(items, item)
	}
	return items, errors.Join(wrong, lack.err())
}

func (h *hydraClient) item(o Options, lack missing) (Item, error) {
	i := Item{Kind: KindClient, Name: h.ID, Client: &clients.Registration{ID: h.ID, Contacts: h.Contacts, ClientURI: h.URI}}
	i.served(h.Grants)
	if len(i.Client.Grants) == 0 {
		return refused(KindClient, h.ID, "its grants are not served here: %s", strings.Join(h.Grants, ", ")), nil
	}
	problem, err := h.credentials(&i)
	if problem != "" || err != nil {
		return refused(KindClient, h.ID, "%s", problem), err
	}
	i.name(h.Name)
	i.Client.Scope = strings.Join(i.scope(strings.Fields(h.Scope), o, lack), " ")
	h.lifetimes(&i)
	for _, a := range h.Audience {
		if o.Catalogue.CheckAudience(a) != nil {
			i.leaveOut("audience "+a, true)
			continue
		}
		i.Client.Audience = append(i.Client.Audience, a)
	}
	if h.TokenStrategy == "jwt" || h.TokenStrategy == "opaque" {
		i.Client.Format = h.TokenStrategy
	}
	i.leaveOut("redirect_uris", len(h.RedirectURIs) > 0)
	i.leaveOut("post_logout_redirect_uris", len(h.LogoutURIs) > 0)
	i.leaveOut("allowed_cors_origins", len(h.Origins) > 0)
	i.leaveOut("metadata", !h.Metadata.empty())
	return i, nil
}

// credentials says how the client authenticates, or why it cannot.
func (h *hydraClient) credentials(i *Item) (problem string, err error) {
	switch m := clients.Method(h.Method); m {
	case clients.MethodNone:
		if slices.Contains(i.Client.Grants, clients.GrantClientCredentials) {
			return "a public client cannot have client_credentials (RFC 6749 §4.4)", nil
		}
		i.Client.Method = m
	case clients.MethodBasic, clients.MethodPost:
		i.Client.Method = m
		var ends time.Time
		if at, _ := h.SecretEnds.Int64(); at > 0 {
			ends = time.Unix(at, 0).UTC()
		}
		return i.setSecret(*h.Secret, ends), nil
	case clients.MethodJWT:
		i.Client.Method, i.Client.AssertionAlg = m, h.SigningAlg
		if h.JWKSURI != "" {
			i.Client.JWKSURI = h.JWKSURI
			return "", nil
		}
		i.Client.JWKS = new(jwt.KeySet)
		if err := json.Unmarshal(h.JWKS, i.Client.JWKS); err != nil {
			return "", fmt.Errorf("jwks: %w", err)
		}
	default:
		return fmt.Sprintf("its token_endpoint_auth_method %q is not served here", h.Method), nil
	}
	return "", nil
}

// lifetimes takes those that the client has of its own.
func (h *hydraClient) lifetimes(i *Item) {
	set := func(into *clients.Duration, ns *int64) {
		if ns != nil && *ns > 0 {
			*into = clients.Duration(time.Duration(*ns).Truncate(time.Second))
		}
	}
	if slices.Contains(i.Client.Grants, clients.GrantPassword) {
		set(&i.Client.AccessTTL, h.AccessPassword)
		set(&i.Client.RefreshTTL, h.RefreshFirst)
		set(&i.Client.RefreshTTL, h.RefreshAgain)
	}
	if slices.Contains(i.Client.Grants, clients.GrantClientCredentials) {
		set(&i.Client.AccessTTL, h.AccessCC)
	}
}
