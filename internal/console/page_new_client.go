package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/clients"
)

// kinds of clients that the form offers.
const (
	kindMachine = "machine"
	kindAPI     = "api"
	kindApp     = "app"
)

// newClientForm is a form as it was sent, or as it begins.
type newClientForm struct {
	ID, Form     string
	Name, Kind   string
	Scope        string
	DefaultScope string
	Resource     string
	Scopes       []scopeRow
	Problem      string
}

// Offered are the scopes that the form can give: power over Grantor is given in config.toml or by
// the command line alone.
func (f newClientForm) Offered() []scopeRow {
	return slices.DeleteFunc(slices.Clone(f.Scopes), scopeRow.Reserved)
}

// made is the answer of the admin API that shows a secret.
type made struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	Ended        []string `json:"ended_secrets"`
}

// madeBody is the page that shows a secret, once.
type madeBody struct {
	made
	Kind    string
	Scope   string // that the examples ask for
	Issuer  string
	Rotated bool
	Outcome string // "not_confirmed": a failover may undo it
	Problem string
}

func (c *Console) newClient(v *visit) error {
	list, err := c.knownScopes(v)
	if err != nil {
		return err
	}
	c.show(v, "client_new", http.StatusOK, "New client", newClientForm{ID: clients.NewID(), Form: newSecret(), Kind: kindMachine, Scopes: list.Scopes})
	return nil
}

// createClient shows the secret in the answer to the form itself: it stands in no URL and no
// history.
func (c *Console) createClient(v *visit) error {
	f := v.r.PostForm
	form := newClientForm{ID: strings.TrimSpace(f.Get("client_id")), Form: newSecret(), Name: strings.TrimSpace(f.Get("name")), Kind: f.Get("kind"),
		Scope: strings.Join(strings.Fields(f.Get("scope")), " "), DefaultScope: strings.Join(strings.Fields(f.Get("default_scope")), " "),
		Resource: strings.TrimSpace(f.Get("resource"))}
	if err := c.once(v); err != nil {
		return err
	}
	shown := madeBody{Kind: form.Kind, Scope: firstOf(form.DefaultScope, form.Scope), Issuer: c.cfg.Issuer}
	err := c.ask(v, http.MethodPost, "/admin/v1/clients", form.registration(), &shown.made)
	if refused, ok := asPageError(err); ok && shown.ClientSecret == "" && refused.outcome == "" {
		return c.newClientAgain(v, form, refused)
	} else if ok {
		shown.Outcome, shown.Problem = refused.outcome, refused.text
	} else if err != nil {
		return err
	}
	c.show(v, "client_made", http.StatusOK, "Client created", shown)
	return nil
}

func (c *Console) newClientAgain(v *visit, form newClientForm, refused *pageError) error {
	list, err := c.knownScopes(v)
	if err != nil {
		return err
	}
	form.Scopes, form.Problem = list.Scopes, refused.text
	c.show(v, "client_new", refused.status, "New client", form)
	return nil
}

// registration is what the form registers.
func (f newClientForm) registration() map[string]any {
	body := map[string]any{"client_id": f.ID}
	set := func(name, value string) {
		if value != "" {
			body[name] = value
		}
	}
	set("client_name", f.Name)
	switch f.Kind {
	case kindAPI:
		set("resource", f.Resource)
		body["introspect"] = clients.SightAudience
		return body
	case kindApp:
		body["grant_types"] = []string{clients.GrantPassword, clients.GrantRefreshToken}
		body["token_endpoint_auth_method"] = clients.MethodNone
	default:
		body["grant_types"] = []string{clients.GrantClientCredentials}
	}
	set("scope", f.Scope)
	set("default_scope", f.DefaultScope)
	return body
}

// firstOf returns the first text that is not empty, up to its first wildcard.
func firstOf(texts ...string) string {
	for _, t := range texts {
		var plain []string
		for _, w := range strings.Fields(t) {
			if !strings.Contains(w, "*") {
				plain = append(plain, w)
			}
		}
		if len(plain) > 0 {
			return strings.Join(plain, " ")
		}
	}
	return ""
}

// once refuses a form that was sent before: loading a page with a secret again must not make
// another.
func (c *Console) once(v *visit) error {
	form := v.r.PostForm.Get("form")
	if form == "" {
		return refusal(http.StatusBadRequest, "this form is not complete: load its page again, and send it from there")
	}
	first, err := c.cfg.Store.first(v.r.Context(), form)
	if err == nil && !first {
		return refusal(http.StatusConflict, "this form was sent before, and nothing was done now. A secret is shown once: rotate it if you do not have it")
	}
	return err
}
