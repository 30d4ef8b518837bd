package faults_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is what a node said, read to its end. status 0: it said nothing.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // why it said nothing
	took   time.Duration

	Active   bool     `json:"active"`
	ClientID string   `json:"client_id"`
	Sub      string   `json:"sub"`
	SubType  string   `json:"sub_type"`
	JTI      string   `json:"jti"`
	Aud      []string `json:"aud"`
	Access   string   `json:"access_token"`
	Refresh  string   `json:"refresh_token"`
	Code     string   `json:"error"`
}

// caller asks nodes as the clients of a deployment.
type caller struct {
	d    *deployment
	http *http.Client
}

func newCaller(d *deployment) *caller {
	return &caller{d, &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, DisableCompression: true},
		Timeout:   20 * time.Second,
	}}
}

// post sends a form as a client; without a secret its id stands in the form.
func (c *caller) post(ctx context.Context, where, id, secret string, form url.Values) (a answer) {
	begun := time.Now()
	defer func() { a.took = time.Since(begun) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	a = answer{status: res.StatusCode, header: res.Header, body: string(body)}
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{err: err}
	}
	return a
}

func (c *caller) issue(ctx context.Context, n *node, machine string) answer {
	return c.post(ctx, n.URL+"/oauth2/token", machine, c.d.secret, url.Values{"grant_type": {"client_credentials"}})
}

func (c *caller) introspect(ctx context.Context, n *node, token string) answer {
	return c.post(ctx, n.URL+"/oauth2/introspect", "api", c.d.api, url.Values{"token": {token}})
}

// revoke asks as the client to which the token was issued: a machine, or the app.
func (c *caller) revoke(ctx context.Context, n *node, client, token string) answer {
	form := url.Values{"token": {token}}
	if client == "app" {
		form.Set("client_id", client)
		return c.post(ctx, n.URL+"/oauth2/revoke", "", "", form)
	}
	return c.post(ctx, n.URL+"/oauth2/revoke", client, c.d.secret, form)
}

func (c *caller) login(ctx context.Context, n *node, username string) answer {
	return c.post(ctx, n.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {"app"}, "username": {username}, "password": {password}, "device_name": {"phone"}})
}

func (c *caller) refresh(ctx context.Context, n *node, token string) answer {
	return c.post(ctx, n.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token}})
}
