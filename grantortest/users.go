package grantortest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/grantor-auth/grantor/config"
)

// usersPath is where the server asks for users, as it asks an application with [users] source =
// "http".
const usersPath = "/grantortest/users"

// person is a user of a test.
type person struct{ sub, name, password, scope string }

// userTable is the user directory of a Server. The zero value is empty.
type userTable struct {
	secret string
	mu     sync.Mutex
	people map[string]person // by sub
}

// AddUser adds a user, or changes the one with this sub. The user logs in with name and password at
// App, and may be given these scopes; without any, every scope.
func (s *Server) AddUser(sub, name, password string, scopes ...string) {
	s.t.Helper()
	if sub == "" || name == "" || password == "" {
		s.t.Fatal("grantortest: a user needs a sub, a name and a password")
	}
	s.mu.Lock()
	if s.learn(scopes) {
		s.reload()
	}
	s.mu.Unlock()
	s.users.put(person{sub, name, password, strings.Join(scopes, " ")})
}

// RemoveUser takes a user out: logins and refreshes are refused from now on.
func (s *Server) RemoveUser(sub string) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	delete(s.users.people, sub)
}

// source is the [users] table that leads here.
func (d *userTable) source(url string) config.Users {
	if d.secret == "" {
		d.secret = rand.Text() + rand.Text()
	}
	return config.Users{Source: "http", HTTP: config.HTTPSource{URL: url + usersPath, Secret: config.SecretText(d.secret)}}
}

func (d *userTable) put(p person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.people == nil {
		d.people = map[string]person{}
	}
	d.people[p.sub] = p
}

// known returns how a user logs in, whom it adds where there is none.
func (d *userTable) known(sub string) (name, password string) {
	d.mu.Lock()
	p, there := d.people[sub]
	d.mu.Unlock()
	if !there {
		p = person{sub: sub, name: sub, password: rand.Text()}
		d.put(p)
	}
	return p.name, p.password
}

// answerUser answers the server's question about a login or a refresh; see users.HTTP.
func (s *Server) answerUser(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Subject  string `json:"sub"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	found, ok := s.users.find(func(p person) bool {
		return q.Subject != "" && p.sub == q.Subject || q.Subject == "" && p.name == q.Username && p.password == q.Password
	})
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if found.scope == "" {
		found.scope = s.everyScope()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{ // a server that hung up wants no answer
		"sub": found.sub, "username": found.name, "scope": found.scope, "credential": found.password})
}

func (d *userTable) find(fits func(person) bool) (person, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.people {
		if fits(p) {
			return p, true
		}
	}
	return person{}, false
}
