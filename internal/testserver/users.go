package testserver

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/config"
)

// usersPath is where the server asks for users, as it asks an application with [users] source =
// "http".
const usersPath = "/grantortest/users"

// User is a user of a test.
type User struct {
	Sub      string
	Name     string // that the user logs in with
	Password string
	Scopes   []string // that the user may be given; none: every scope
	Claims   claims.Set
}

// userTable is the user directory of a Server. The zero value is empty.
type userTable struct {
	secret string
	mu     sync.Mutex
	people map[string]User // by sub
}

// AddUser adds a user, or changes the one with this sub. The user logs in at App.
func (s *Server) AddUser(u User) error {
	if u.Sub == "" || u.Name == "" || u.Password == "" {
		return errors.New("a user needs a sub, a name and a password")
	}
	if err := s.declare(u.Scopes); err != nil {
		return err
	}
	s.users.put(u)
	return nil
}

// RemoveUser takes a user out: logins and refreshes are refused from now on.
func (s *Server) RemoveUser(sub string) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	delete(s.users.people, sub)
}

// SetClaims sets the custom claims of a user, who is added where there is none. The next login and
// the next refresh take them.
func (s *Server) SetClaims(sub string, values map[string]any) error {
	custom, err := claims.New(values)
	if err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	s.users.known(sub)
	s.users.setClaims(sub, custom)
	return nil
}

func (d *userTable) setClaims(sub string, custom claims.Set) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.people[sub]
	u.Claims = custom
	d.people[sub] = u
}

// source is the [users] table that leads here.
func (d *userTable) source(url string) config.Users {
	if d.secret == "" {
		d.secret = rand.Text() + rand.Text()
	}
	return config.Users{Source: "http", HTTP: config.HTTPSource{URL: url + usersPath, Secret: config.SecretText(d.secret)}}
}

func (d *userTable) put(u User) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.people == nil {
		d.people = map[string]User{}
	}
	d.people[u.Sub] = u
}

// known returns how a user logs in, whom it adds where there is none.
func (d *userTable) known(sub string) (name, password string) {
	d.mu.Lock()
	u, there := d.people[sub]
	d.mu.Unlock()
	if !there {
		u = User{Sub: sub, Name: sub, Password: rand.Text()}
		d.put(u)
	}
	return u.Name, u.Password
}

// answerUser answers the server's question about a login or a refresh; see users.HTTP.
func (s *Server) answerUser(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Subject  string `json:"sub"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil || !local(r) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	found, ok := s.users.find(func(u User) bool {
		return q.Subject != "" && u.Sub == q.Subject || q.Subject == "" && u.Name == q.Username && u.Password == q.Password
	})
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	scope := strings.Join(found.Scopes, " ")
	if scope == "" {
		scope = s.everyScope()
	}
	sum := sha256.Sum256([]byte(found.Password)) // it changes when the password does
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a server that hung up wants no answer
		"claims": found.Claims, "sub": found.Sub, "username": found.Name, "scope": scope, "credential": hex.EncodeToString(sum[:])})
}

func (d *userTable) find(fits func(User) bool) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range d.people {
		if fits(u) {
			return u, true
		}
	}
	return User{}, false
}
