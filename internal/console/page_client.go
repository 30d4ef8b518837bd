package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/lockout"
)

// secretRow is a secret as the admin API shows it.
type secretRow struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	LastUsed  time.Time `json:"last_used"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Expired says whether the secret is refused by now.
func (s secretRow) Expired() bool { return !s.ExpiresAt.IsZero() && s.ExpiresAt.Before(time.Now()) }

// clientBody is what the page of one client shows.
type clientBody struct {
	*clients.Described
	Secrets []secretRow
	Keys    []apikeys.Key
	Locked  []lockout.ShownBudget
	Scopes  []scopeRow // those that the client may have
	Form    string     // names the form that rotates
	Problem string
}

// Configured says whether the client is one of config.toml.
func (b clientBody) Configured() bool { return b.Source == "config" }

func clientPath(id string) string { return "/admin/v1/clients/" + url.PathEscape(id) }

func (c *Console) client(v *visit) error {
	body, err := c.readClient(v, v.r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	c.show(v, "client", http.StatusOK, clientTitle(body.Described), body)
	return nil
}

func clientTitle(d *clients.Described) string {
	if d.Name != "" {
		return d.Name
	}
	return d.ID
}

func (c *Console) readClient(v *visit, id string) (*clientBody, error) {
	body := &clientBody{Form: newSecret()}
	if err := c.ask(v, http.MethodGet, clientPath(id), nil, &body.Described); err != nil {
		return nil, err
	}
	var secrets struct {
		Secrets []secretRow `json:"secrets"`
	}
	var keys struct {
		Keys []apikeys.Key `json:"keys"`
	}
	var locked struct {
		Failures []lockout.ShownBudget `json:"failures"`
	}
	var known scopeList
	err := errors.Join(
		c.ask(v, http.MethodGet, clientPath(id)+"/secrets", nil, &secrets),
		c.ask(v, http.MethodGet, clientPath(id)+"/keys", nil, &keys),
		c.ask(v, http.MethodGet, clientPath(id)+"/lockout", nil, &locked))
	if err == nil {
		known, err = c.knownScopes(v)
	}
	body.Secrets, body.Keys, body.Locked = secrets.Secrets, keys.Keys, locked.Failures
	body.Scopes = known.allowed(body.Scope)
	return body, err
}

// changeClient does what a form of the page asks for.
func (c *Console) changeClient(v *visit) error {
	f := v.r.PostForm
	id, do := f.Get("id"), f.Get("do")
	path := clientPath(id)
	switch do {
	case "settings":
		return c.clientDone(v, id, "changed", http.MethodPatch, path, clientSettings(f))
	case "rotate":
		return c.rotateSecret(v, id)
	case "enable":
		return c.clientDone(v, id, "enabled", http.MethodPost, path+"/enable", nil)
	case "unlock":
		return c.clientDone(v, id, "unlocked", http.MethodDelete, path+"/lockout", nil)
	}
	if err := confirmed(v, id); err != nil {
		return err
	}
	switch do {
	case "disable":
		return c.clientDone(v, id, "disabled", http.MethodPost, path+"/disable", nil)
	case "revoke":
		return c.clientDone(v, id, "revoked", http.MethodPost, path+"/revoke-tokens", nil)
	case "secret":
		return c.clientDone(v, id, "secret", http.MethodDelete, path+"/secrets/"+url.PathEscape(f.Get("secret")), nil)
	case "key":
		return c.clientDone(v, id, "key", http.MethodDelete, path+"/keys/"+url.PathEscape(f.Get("key")), nil)
	case "delete":
		if err := c.ask(v, http.MethodDelete, path, nil, nil); err != nil {
			return err
		}
		return v.again("/console/clients?done=deleted")
	}
	return refusal(http.StatusBadRequest, "this form asks for nothing that a client has")
}

func (c *Console) clientDone(v *visit, id, done, method, path string, body any) error {
	if err := c.ask(v, method, path, body, nil); err != nil {
		return err
	}
	return v.again("/console/client?" + url.Values{"id": {id}, "done": {done}}.Encode())
}

// clientSettings are the members that the form of settings changes.
func clientSettings(f url.Values) map[string]any {
	body := map[string]any{}
	for _, name := range []string{"client_name", "scope", "default_scope"} {
		body[name] = strings.Join(strings.Fields(f.Get(name)), " ")
	}
	for _, name := range []string{"access_ttl", "refresh_ttl", "refresh_max_ttl"} {
		body[name] = "0s"
		if text := strings.TrimSpace(f.Get(name)); text != "" {
			body[name] = text
		}
	}
	return body
}

// confirmed refuses what ends something until its name was typed.
func confirmed(v *visit, name string) error {
	if v.r.PostForm.Get("confirm") == name {
		return nil
	}
	return refusal(http.StatusBadRequest, "nothing was done: type the name exactly as it is shown, to say that you mean it")
}

// rotateSecret shows the new secret in the answer to the form itself.
func (c *Console) rotateSecret(v *visit, id string) error {
	f := v.r.PostForm
	if f.Get("overlap") == "0s" || f.Get("force") != "" {
		if err := confirmed(v, id); err != nil {
			return err
		}
	}
	if err := c.once(v); err != nil {
		return err
	}
	shown := madeBody{Kind: kindMachine, Issuer: c.cfg.Issuer, Rotated: true}
	ask := map[string]any{"overlap": f.Get("overlap"), "force": f.Get("force") != ""}
	err := c.ask(v, http.MethodPost, clientPath(id)+"/secrets", ask, &shown.made)
	if refused, ok := asPageError(err); ok && shown.ClientSecret != "" {
		shown.Outcome, shown.Problem = refused.outcome, refused.text
	} else if err != nil {
		return err
	}
	c.show(v, "client_made", http.StatusOK, "Secret rotated", shown)
	return nil
}

func asPageError(err error) (*pageError, bool) { return errors.AsType[*pageError](err) }
