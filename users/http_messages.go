package users

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/grantor-auth/grantor/internal/signature"
)

// appQuestion is the body of a request.
type appQuestion struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Subject  string `json:"sub,omitempty"`
}

// appAnswer is the body of a 200.
type appAnswer struct {
	Subject    string          `json:"sub"`
	Username   string          `json:"username"`
	Scope      *string         `json:"scope"`
	Credential string          `json:"credential"`
	Claims     json.RawMessage `json:"claims"`
}

// ask returns the application's answer: ErrUnknown for 401, with a user who has only an id where
// the application says whose name it was, and ErrUnavailable for all that is neither a yes nor a
// no.
func (h *HTTP) ask(ctx context.Context, q appQuestion) (*User, error) {
	body, err := json.Marshal(q) // #nosec G117 -- the password is what is asked
	if err != nil {
		return nil, unavailable("http", errors.New("the question cannot be written"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, unavailable("http", errors.New("the url cannot be asked"))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set(SignatureHeader, signature.Of(h.secret, time.Now(), body))
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, unavailable("http", bareHTTPError(err))
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or given up
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHTTPAnswer+1))
	switch {
	case err != nil:
		return nil, unavailable("http", bareHTTPError(err))
	case len(text) > maxHTTPAnswer:
		return nil, unusableAnswer("http", errors.New("the answer is too long"))
	case resp.StatusCode == http.StatusUnauthorized:
		return readRefusal(text), ErrUnknown
	case resp.StatusCode != http.StatusOK:
		return nil, unavailable("http", fmt.Errorf("the application answered %d, not 200 or 401", resp.StatusCode))
	}
	return readAnswer(text)
}

// readRefusal reads the body of a 401, which may name the user: failures then count for that user,
// however the name is spelled. Anything else is no mistake; it says nothing.
func readRefusal(text []byte) *User {
	var a appAnswer
	if json.Unmarshal(text, &a) != nil || CheckSubject(a.Subject) != nil {
		return nil
	}
	return &User{ID: a.Subject}
}

// bareHTTPError drops the URL from an error: its query may hold a secret.
func bareHTTPError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// readAnswer reads the body of a 200 and quotes nothing of it.
func readAnswer(text []byte) (*User, error) {
	var a appAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, unusableAnswer("http", errors.New(`the answer is not the JSON object {"sub": "…", "username": "…", "scope": "…"}`))
	}
	if err := CheckSubject(a.Subject); err != nil {
		return nil, unusableAnswer("http: sub", err)
	}
	if a.Username != "" {
		if err := checkTyped("username", a.Username, MaxNameBytes); err != nil {
			return nil, unusableAnswer("http", err)
		}
	}
	scope, err := readScope(a.Scope)
	if err != nil {
		return nil, unusableAnswer("http", err)
	}
	own, err := readClaims(a.Claims)
	if err != nil {
		return nil, unusableAnswer("http: claims", err)
	}
	return &User{ID: a.Subject, Username: a.Username, Scope: scope, Claims: own, Credential: Credential{a.Credential}}, nil
}

// SignatureHeader carries the signature of a question to an application; see HTTP.
const SignatureHeader = signature.Header
