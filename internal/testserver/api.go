package testserver

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/loopback"
)

// Root is the path of the endpoints by which tests in any language move a Server.
const Root = "/test"

// maxBody bounds the JSON of a request, in bytes.
const maxBody = 64 << 10

// openAPI describes the endpoints.
//
//go:embed openapi.json
var openAPI []byte

// Handler returns the endpoints below Root, and lets s answer everything else. Below Root it
// answers only this machine's programs: by a host name of this machine, and not for a web page.
func (s *Server) Handler() http.Handler {
	routes := s.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch ours := r.URL.Path == Root || strings.HasPrefix(r.URL.Path, Root+"/"); {
		case !ours:
			s.ServeHTTP(w, r)
		case !local(r):
			refuse(w, http.StatusForbidden, "the test endpoints answer programs of this machine alone, "+
				"asked by 127.0.0.1, [::1] or localhost, and no web page")
		default:
			routes.ServeHTTP(w, r)
		}
	})
}

func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("GET "+Root, s.describe)
	m.HandleFunc("GET "+Root+"/openapi.json", serveOpenAPI)
	m.HandleFunc("GET "+Root+"/clock", s.tellTime)
	m.HandleFunc("DELETE "+Root+"/fail", s.recover)
	m.HandleFunc("DELETE "+Root+"/users/{sub}", s.removeUser)
	for name, do := range map[string]func(*http.Request) (any, error){
		"tokens":  s.doToken,
		"revoke":  s.doRevoke,
		"expire":  s.doExpire,
		"fail":    s.doFail,
		"clock":   s.doClock,
		"clients": s.doClient,
		"users":   s.doUser,
	} {
		m.HandleFunc("POST "+Root+"/"+name, func(w http.ResponseWriter, r *http.Request) {
			answer, err := do(r)
			if err != nil {
				refuse(w, http.StatusBadRequest, err.Error())
				return
			}
			write(w, answer)
		})
	}
	m.HandleFunc(Root+"/", func(w http.ResponseWriter, r *http.Request) {
		path := strings.ToValidUTF8(r.URL.Path, "?")
		refuse(w, http.StatusNotFound, "there is no "+r.Method+" "+path+": see GET "+Root+"/openapi.json")
	})
	return m
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) { write(w, json.RawMessage(openAPI)) }

func (s *Server) recover(w http.ResponseWriter, _ *http.Request) {
	s.Recover()
	write(w, struct{}{})
}

func (s *Server) removeUser(w http.ResponseWriter, r *http.Request) {
	s.RemoveUser(r.PathValue("sub"))
	write(w, struct{}{})
}

// local says whether a request is of a program that knows whom it asks. A web page could else reach
// loopback by a name of its own (DNS rebinding), or send a form.
func local(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return loopback.Host(strings.Trim(host, "[]")) && r.Header.Get("Origin") == ""
}

// read reads the JSON of a request, whose members must all exist.
func read(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the body must be JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the JSON cannot be read: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the JSON cannot be read: there is more behind its end")
	}
	return nil
}

func write(w http.ResponseWriter, answer any) { writeStatus(w, http.StatusOK, answer) }

func refuse(w http.ResponseWriter, status int, why string) {
	writeStatus(w, status, map[string]string{"error": "invalid_request", "error_description": why})
}

func writeStatus(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // who hung up wants no answer
}

// credentials are a client's, by the names of RFC 7591.
type credentials struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
}

func credentialsOf(c Identity) credentials { return credentials{c.ID, c.Secret} }

// describe says what a test needs to begin.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	write(w, map[string]any{
		"issuer": s.Issuer,
		"api":    credentialsOf(s.API),
		"app":    credentialsOf(s.App),
		"now":    s.Now().UTC().Format(time.RFC3339),
	})
}

// doToken issues a token.
func (s *Server) doToken(r *http.Request) (any, error) {
	var q struct {
		Scope     string         `json:"scope"`
		Sub       string         `json:"sub"`
		ClientID  string         `json:"client_id"`
		ExpiresIn int64          `json:"expires_in"` // seconds
		Audience  []string       `json:"aud"`
		Format    string         `json:"format"`
		Claims    map[string]any `json:"claims"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	switch {
	case q.Format != "" && q.Format != "opaque" && q.Format != "jwt":
		return nil, fmt.Errorf(`format is %q: it must be "opaque" or "jwt"`, q.Format)
	case q.ExpiresIn < 0 || q.ExpiresIn > 24*60*60:
		return nil, fmt.Errorf("expires_in is %d: it must be from 1 to 86400 seconds, "+
			"or absent for the configuration's lifetime", q.ExpiresIn)
	case len(strings.Fields(q.Scope)) == 0:
		return nil, errors.New(`scope is required, such as "orders:read orders:write"`)
	}
	for _, audience := range q.Audience {
		if u, err := url.Parse(audience); err != nil || !u.IsAbs() {
			return nil, fmt.Errorf("aud has %q: an audience must be an absolute URI (RFC 8707 §2)", audience)
		}
	}
	return s.Token(Want{Scopes: strings.Fields(q.Scope), Subject: q.Sub, Client: q.ClientID,
		Lifetime: time.Duration(q.ExpiresIn) * time.Second, Audience: q.Audience, JWT: q.Format == "jwt", Claims: q.Claims, Prove: proofOf(r)})
}

// proofOf passes on the proof for the token endpoint that a request has (RFC 9449 §5).
func proofOf(r *http.Request) func(nonce string) string {
	proof := r.Header.Get("DPoP")
	if proof == "" {
		return nil
	}
	return func(string) string { return proof } // who signs it knows the nonce
}

// tokenOf reads a request about one token.
func tokenOf(r *http.Request) (string, error) {
	var q struct {
		Token string `json:"token"`
	}
	err := read(r, &q)
	if err == nil && q.Token == "" {
		err = errors.New("token is required")
	}
	return q.Token, err
}

func (s *Server) doRevoke(r *http.Request) (any, error) {
	token, err := tokenOf(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.Revoke(token)
}

func (s *Server) doExpire(r *http.Request) (any, error) {
	token, err := tokenOf(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.Expire(token)
}

func (s *Server) doFail(r *http.Request) (any, error) {
	q := struct {
		Status   int `json:"status"`
		Requests int `json:"requests"`
	}{Status: http.StatusServiceUnavailable}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	return struct{}{}, s.Fail(q.Status, q.Requests)
}

// doClock moves the clock.
func (s *Server) doClock(r *http.Request) (any, error) {
	var q struct {
		Advance string `json:"advance"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	d, err := config.ParseDuration(q.Advance)
	if err != nil {
		return nil, fmt.Errorf("advance: %w", err)
	}
	if err := s.Advance(d); err != nil {
		return nil, err
	}
	return s.time(), nil
}

func (s *Server) time() any { return map[string]string{"now": s.Now().UTC().Format(time.RFC3339)} }

func (s *Server) tellTime(w http.ResponseWriter, _ *http.Request) { write(w, s.time()) }

// doClient registers a client.
func (s *Server) doClient(r *http.Request) (any, error) {
	var q struct {
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
		Public   bool   `json:"public"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	made, err := s.Client(NewClient{ID: q.ClientID, Public: q.Public, Scopes: strings.Fields(q.Scope)})
	return credentialsOf(made), err
}

// doUser adds a user.
func (s *Server) doUser(r *http.Request) (any, error) {
	var q struct {
		Sub      string         `json:"sub"`
		Username string         `json:"username"`
		Password string         `json:"password"`
		Scope    string         `json:"scope"`
		Claims   map[string]any `json:"claims"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	custom, err := claims.New(q.Claims)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return struct{}{}, s.AddUser(User{Sub: q.Sub, Name: q.Username, Password: q.Password, Scopes: strings.Fields(q.Scope), Claims: custom})
}
