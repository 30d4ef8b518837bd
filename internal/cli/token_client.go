package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/printable"
)

// tokenClient is a client of an authorization server, found by its metadata.
type tokenClient struct {
	flags      *tokenFlags
	id, secret string
	http       *http.Client
	meta       struct {
		Issuer                string `json:"issuer"`
		TokenEndpoint         string `json:"token_endpoint"`
		IntrospectionEndpoint string `json:"introspection_endpoint"`
		RevocationEndpoint    string `json:"revocation_endpoint"`
	}
}

// newTokenClient discovers the server (RFC 8414 §3). The metadata must name the issuer that was
// asked for.
func (p Program) newTokenClient(ctx context.Context, f *tokenFlags) (*tokenClient, error) {
	t := &tokenClient{flags: f, id: p.variable("GRANTOR_CLIENT_ID"), secret: p.variable("GRANTOR_CLIENT_SECRET")}
	switch {
	case f.issuer == "":
		return nil, usageError{errors.New("say --issuer URL")}
	case t.id == "":
		return nil, usageError{errors.New("GRANTOR_CLIENT_ID and GRANTOR_CLIENT_SECRET must say which client asks")}
	case f.method != "basic" && f.method != "post" && f.method != "none":
		return nil, usageError{errors.New("--auth-method must be basic, post or none")}
	case t.secret == "" && f.method != "none":
		return nil, usageError{errors.New("GRANTOR_CLIENT_SECRET is missing; a public client says --auth-method none")}
	}
	u, err := secureURL(f.issuer)
	if err != nil {
		return nil, usageError{fmt.Errorf("--issuer %w", err)}
	}
	if t.http, err = parts.HTTPClient(f.caFile, askTimeout); err != nil {
		return nil, usageError{err}
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, usageError{errors.New("--issuer has neither query nor fragment (RFC 8414 §2)")}
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	u.Path, u.RawPath = "", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+"/.well-known/oauth-authorization-server"+path, nil)
	if err != nil {
		return nil, err
	}
	status, body, err := t.do(req)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK || json.Unmarshal(body, &t.meta) != nil {
		return nil, fmt.Errorf("there is no server metadata at %s (status %d)", u, status)
	}
	if t.meta.Issuer != f.issuer {
		return nil, fmt.Errorf("the server calls itself %q, not %q (RFC 8414 §3.3)", t.meta.Issuer, f.issuer)
	}
	return t, nil
}

// secureURL demands https off loopback: secrets travel there.
func secureURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, errors.New("must be an absolute URL")
	case loopback.Secure(u):
		return u, nil
	}
	return nil, errors.New("must begin with https:// off loopback")
}

// askTimeout bounds one question to a server.
const askTimeout = 10 * time.Second

// maxTokenAnswer is the most that is read of an answer, in bytes.
const maxTokenAnswer = 1 << 20

func (t *tokenClient) do(req *http.Request) (int, []byte, error) {
	res, err := t.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxTokenAnswer))
	return res.StatusCode, body, err
}

// post sends a form as the client and reads the answer.
func (t *tokenClient) post(ctx context.Context, endpoint string, form url.Values) (map[string]any, error) {
	body, err := t.send(ctx, endpoint, form)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // seconds, as they came
	if err := d.Decode(&answer); err != nil {
		return nil, errors.New("the server answers 200, and no JSON object")
	}
	return answer, nil
}

// send sends a form as the client, and turns a refusal into an error of the server's words.
func (t *tokenClient) send(ctx context.Context, endpoint string, form url.Values) ([]byte, error) {
	if _, err := secureURL(endpoint); err != nil {
		return nil, fmt.Errorf("the server's metadata names no usable endpoint for this: it %w", err)
	}
	if t.flags.method != "basic" {
		form.Set("client_id", t.id)
	}
	if t.flags.method == "post" {
		form.Set("client_secret", t.secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if t.flags.method == "basic" {
		req.SetBasicAuth(url.QueryEscape(t.id), url.QueryEscape(t.secret)) // RFC 6749 §2.3.1
	}
	status, body, err := t.do(req)
	if err == nil && status != http.StatusOK {
		err = refusedWith(status, body)
	}
	return body, err
}

// refusedWith is what a server says of a refusal (RFC 6749 §5.2).
func refusedWith(status int, body []byte) error {
	var says struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	switch err := json.Unmarshal(body, &says); {
	case err != nil || says.Code == "":
		return fmt.Errorf("the server answers %d without an error of RFC 6749 §5.2", status)
	case says.Description == "":
		return fmt.Errorf("%s (status %d)", printable.Text(says.Code), status)
	}
	return fmt.Errorf("%s: %s (status %d)", printable.Text(says.Code), printable.Text(says.Description), status)
}

// onTerminal says whether somebody can be asked.
func (p Program) onTerminal() bool {
	f, ok := p.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
