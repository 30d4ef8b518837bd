package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
)

// fixture is an object as manage.py dumpdata writes it.
type fixture struct {
	Model  string          `json:"model"`
	Fields json.RawMessage `json:"fields"`
}

// application is oauth2_provider.models.AbstractApplication. Projects may have a model of their
// own with further fields.
type application struct {
	ClientID      *string         `json:"client_id"`
	Type          *string         `json:"client_type"`
	Grant         *string         `json:"authorization_grant_type"`
	Secret        string          `json:"client_secret"`
	Name          string          `json:"name"`
	User          json.RawMessage `json:"user"`
	RedirectURIs  string          `json:"redirect_uris"`
	LogoutURIs    string          `json:"post_logout_redirect_uris"`
	Origins       string          `json:"allowed_origins"`
	Algorithm     string          `json:"algorithm"`
	Unasked       bool            `json:"skip_authorization"`
	AllowedScopes json.RawMessage `json:"allowed_scopes"` // of some projects
}

// djangoOAuthToolkit reads what "manage.py dumpdata oauth2_provider.application" writes.
func djangoOAuthToolkit(text []byte, o Options) ([]Item, error) {
	all, err := list[fixture](text, "applications")
	if err != nil {
		return nil, err
	}
	var items []Item
	var wrong error
	for n, f := range all {
		var a application
		if err := json.Unmarshal(f.Fields, &a); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("element %d (%s): %w", n+1, f.Model, err))
			continue
		}
		if a.ClientID == nil || a.Type == nil || a.Grant == nil {
			wrong = errors.Join(wrong, fmt.Errorf("element %d is a %q, and no application of django-oauth-toolkit: dump oauth2_provider.application alone", n+1, f.Model))
			continue
		}
		items = append(items, a.item(o))
	}
	return items, errors.Join(wrong, o.lacking())
}

func (a *application) item(o Options) Item {
	i := Item{Kind: KindClient, Name: *a.ClientID, Client: &clients.Registration{ID: *a.ClientID}}
	public := *a.Type == "public"
	switch {
	case *a.Grant == "client-credentials" && public:
		return refused(KindClient, i.Name, "a public client cannot have client_credentials (RFC 6749 §4.4)")
	case *a.Grant == "client-credentials":
		i.Client.Grants = []string{clients.GrantClientCredentials}
	case *a.Grant == "password":
		i.Client.Grants = []string{clients.GrantPassword, clients.GrantRefreshToken}
	default:
		return refused(KindClient, i.Name, "its grant %s is not served here", *a.Grant)
	}
	i.name(a.Name)
	i.given(o)
	if public {
		i.Client.Method = clients.MethodNone
	} else if problem := i.setSecret(a.Secret, time.Time{}); problem != "" {
		return refused(KindClient, i.Name, "%s", problem)
	}
	i.leaveOut("redirect_uris", strings.TrimSpace(a.RedirectURIs) != "")
	i.leaveOut("post_logout_redirect_uris", strings.TrimSpace(a.LogoutURIs) != "")
	i.leaveOut("allowed_origins", strings.TrimSpace(a.Origins) != "")
	i.leaveOut("algorithm", a.Algorithm != "")
	i.leaveOut("skip_authorization", a.Unasked)
	i.leaveOut("user", len(a.User) > 0 && string(a.User) != "null")
	i.leaveOut("allowed_scopes", len(a.AllowedScopes) > 0)
	return i
}

// apiKey is rest_framework_api_key.models.AbstractAPIKey.
type apiKey struct {
	Prefix  *string `json:"prefix"`
	Hash    *string `json:"hashed_key"`
	Name    string  `json:"name"`
	Revoked bool    `json:"revoked"`
	Ends    *moment `json:"expiry_date"`
}

// moment is a time as Django writes it: without a zone where USE_TZ is off, which is taken for UTC.
type moment struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	var err error
	if m.Time, err = time.Parse(time.RFC3339, s); err != nil {
		m.Time, err = time.Parse("2006-01-02T15:04:05", s)
	}
	return err
}

// djangoAPIKeys reads what "manage.py dumpdata rest_framework_api_key.apikey" writes.
func djangoAPIKeys(text []byte, o Options) ([]Item, error) {
	all, err := list[fixture](text, "API keys")
	if err != nil {
		return nil, err
	}
	var items []Item
	var wrong error
	for n, f := range all {
		var k apiKey
		if err := json.Unmarshal(f.Fields, &k); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("element %d (%s): %w", n+1, f.Model, err))
			continue
		}
		if k.Prefix == nil || k.Hash == nil || *k.Prefix == "" {
			wrong = errors.Join(wrong, fmt.Errorf("element %d is a %q, and no API key of djangorestframework-api-key: dump rest_framework_api_key.apikey alone", n+1, f.Model))
			continue
		}
		items = append(items, k.item(o))
	}
	return items, errors.Join(wrong, o.lacking())
}

// KeyClientPrefix begins the id of the client that an API key gets: one for each key, so that each
// can be ended or narrowed alone.
const KeyClientPrefix = "api-key-"

func (k *apiKey) item(o Options) Item {
	digest, sha := strings.CutPrefix(*k.Hash, "sha512$$")
	switch {
	case k.Revoked:
		return refused(KindKey, *k.Prefix, "it is revoked")
	case k.Ends != nil && k.Ends.Sub(o.Now) < time.Minute:
		return refused(KindKey, *k.Prefix, "it has expired")
	case !sha:
		return refused(KindKey, *k.Prefix, "it is hashed by %s: djangorestframework-api-key 3 hashes it by SHA-512 at its next use; export it again then", schemeOf(*k.Hash))
	case len(digest) != 128 || strings.Trim(digest, "0123456789abcdef") != "":
		return refused(KindKey, *k.Prefix, "its hash is no SHA-512")
	}
	i := Item{Kind: KindKey, Name: *k.Prefix, Key: &Key{Digest: digest, Name: k.Name},
		Client: &clients.Registration{ID: KeyClientPrefix + *k.Prefix, Method: clients.MethodNone, Scope: o.Scope}}
	i.name(k.Name)
	if i.Key.Name = i.Client.Name; i.Key.Name == "" {
		i.Key.Name = *k.Prefix
	}
	if k.Ends != nil {
		i.Key.Ends = k.Ends.Time
	}
	return i
}

// served returns which grants a client keeps, and notes the others.
func (i *Item) served(grants []string) {
	for _, g := range grants {
		if slices.Contains([]string{clients.GrantClientCredentials, clients.GrantPassword}, g) ||
			g == clients.GrantRefreshToken && slices.Contains(grants, clients.GrantPassword) {
			i.Client.Grants = append(i.Client.Grants, g)
			continue
		}
		i.leaveOut("grant "+g, true)
	}
}
