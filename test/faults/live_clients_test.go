package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// register makes a client of its own for an end, which takes this scope from its token ("": all),
// and issues the token.
func (e *ender) register(name, scope, takes string) (id string, g *grant, ok bool) {
	jwt, format := e.rng.IntN(2) == 0, "opaque"
	if jwt {
		format = "jwt"
	}
	id = fmt.Sprintf("registered-%d-%d", e.now(), e.rng.Uint32())
	var made struct {
		Secret string `json:"client_secret"`
	}
	a, ok := e.try(e.administer(http.MethodPost, "/clients", map[string]any{"client_id": id, "grant_types": []string{"client_credentials"},
		"scope": scope, "default_scope": scope, "access_token_format": format}))
	if !ok || json.Unmarshal([]byte(a.body), &made) != nil || made.Secret == "" {
		return id, nil, false // made by an answer that was lost
	}
	a, ok = e.try(func(n *liveNode, _ bool) (answer, bool) {
		a := e.c.post(e.ctx, n.now.Load().URL+"/oauth2/token", id, made.Secret, url.Values{"grant_type": {"client_credentials"}})
		if a.status == 401 {
			a.status = 0 // every node knows it within a second; or a primary took it with it
		}
		return a, a.status == 200 || e.now() > 0 && a.status == 429
	})
	if !ok || a.status != 200 {
		return id, nil, false
	}
	return id, e.grant(name, takes, jwt, a), true
}

func (e *ender) withClient(name, scope string, method, path string, body any, takes string) {
	id, g, ok := e.register(name, scope, takes)
	if !ok {
		return
	}
	e.finish(name, []*grant{g}, e.administer(method, "/clients/"+id+path, body))
}

func (e *ender) disables(name string) {
	e.withClient(name, "orders:read", http.MethodPost, "/disable", nil, "")
}

func (e *ender) revokesClient(name string) {
	e.withClient(name, "orders:read", http.MethodPost, "/revoke-tokens", nil, "")
}

func (e *ender) narrows(name string) {
	narrow := map[string]any{"scope": "orders:read", "default_scope": "orders:read"}
	e.withClient(name, "orders:read orders:write", http.MethodPatch, "", narrow, "orders:write")
}

func (e *ender) deletes(name string) {
	e.withClient(name, "orders:read", http.MethodDelete, "", nil, "")
}

// administer asks the admin API. What is not there any more at a repetition is done.
func (e *ender) administer(method, path string, body any) func(n *liveNode, again bool) (answer, bool) {
	return func(n *liveNode, again bool) (answer, bool) {
		token := e.operator.Load()
		if token == nil {
			a := e.c.post(e.ctx, n.now.Load().URL+"/oauth2/token", "operator", e.d.secret,
				url.Values{"grant_type": {"client_credentials"}, "scope": {"grantor:admin"}})
			if a.status != 200 {
				return a, false
			}
			token = &a.Access
			e.operator.Store(token)
		}
		a := e.c.admin(e.ctx, method, n.admin+"/admin/v1"+path, *token, body)
		if a.status == 401 { // lost with a primary, or issued by a node that is not this one's
			e.operator.CompareAndSwap(token, nil)
			a.status = 0
		}
		return a, a.status/100 == 2 || again && (a.status == 404 || a.status == 409)
	}
}

// admin sends a request of the admin API.
func (c *caller) admin(ctx context.Context, method, where, token string, body any) (a answer) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(text))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(said)}
}
