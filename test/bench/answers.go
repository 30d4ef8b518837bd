package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/grantor-auth/grantor/test/bench/contest"
	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
)

// answers checks what a contestant answers, by status and body.
type answers struct {
	fixed bool // Gin alone: the same answer to everything
	mu    sync.Mutex
	seen  map[string]bool // access tokens
	dead  map[string]bool // revoked
}

func newAnswers(fixed bool) *answers {
	return &answers{fixed: fixed, seen: map[string]bool{}, dead: map[string]bool{}}
}

func (a *answers) check(k load.Kind, value string, status int, body []byte) error {
	wrong := func(why string) error { return fmt.Errorf("%s: %s: status %d: %s", k.Name, why, status, body) }
	if status != 200 {
		return wrong("refused")
	}
	var r struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Active      *bool
		ClientID    string `json:"client_id"`
		Scope       string
		Cnf         struct{ JKT string }
	}
	if k.Name != "revoke" && k.Name != contest.CaseCheck && k.Name != contest.CaseRoute {
		if err := json.Unmarshal(body, &r); err != nil {
			return wrong("not JSON")
		}
	}
	kind := "Bearer"
	if k.Bound {
		kind = "DPoP"
	}
	switch k.Name {
	case "issue", "refresh", "log-in":
		if r.AccessToken == "" || !strings.EqualFold(r.TokenType, kind) || r.ExpiresIn <= 0 || r.Scope != rivals.Scope {
			return wrong("no token of the scope")
		}
		if !a.fresh(r.AccessToken) {
			return wrong("a token that was issued before")
		}
	case "introspect":
		if r.Active == nil || *r.Active == a.isDead(value) || *r.Active && r.ClientID != rivals.MachineID {
			return wrong("active is not what it should be")
		}
		if k.Bound != (r.Cnf.JKT != "") {
			return wrong("cnf is not what it should be")
		}
	case "garbage":
		if r.Active == nil || *r.Active {
			return wrong("garbage is active")
		}
	case contest.CaseRoute:
		if string(body) != `{"orders":["apples","pears"]}` {
			return wrong("not the orders")
		}
	case "revoke":
		a.mu.Lock()
		defer a.mu.Unlock()
		a.dead[value] = true
	}
	return nil
}

func (a *answers) fresh(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[token] && !a.fixed {
		return false
	}
	a.seen[token] = true
	return true
}

func (a *answers) isDead(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dead[token]
}

func (a *answers) revoked() (list []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for token := range a.dead {
		list = append(list, token)
	}
	return list
}
