package server

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/tokens"
)

func (s *Server) listClients(x *exchange) error {
	cursor, size, err := x.page()
	if err != nil {
		return err
	}
	list, next, err := s.cfg.Manager.Search(x, x.gin.Query("search"), cursor, size)
	switch {
	case errors.Is(err, clients.ErrCursor):
		return refusal(codeInvalidRequest, "cursor must be the next_cursor of an earlier answer")
	case errors.Is(err, clients.ErrSearch):
		return refusal(codeInvalidRequest, "search: %s", err)
	}
	if err != nil {
		return adminError(err)
	}
	if list == nil {
		list = []*clients.Described{}
	}
	writeJSON(x, http.StatusOK, struct {
		Clients []*clients.Described `json:"clients"`
		Next    string               `json:"next_cursor,omitempty"`
	}{list, next})
	return nil
}

func (s *Server) showClient(x *exchange) error {
	d, err := s.cfg.Manager.Get(x, x.gin.Param("id"))
	if err != nil {
		return adminError(err)
	}
	writeJSON(x, http.StatusOK, d)
	return nil
}

// made is the answer that shows a secret, once.
type made struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret,omitempty"`
	SecretID     string   `json:"secret_id,omitempty"`
	Ended        []string `json:"ended_secrets,omitempty"` // ids of those that ended at once
}

func (m made) showsSecret() bool { return m.ClientSecret != "" }

// createClient registers a client. Grantor draws a secret where the client needs one and the body
// has none.
func (s *Server) createClient(x *exchange) error {
	var r clients.Registration
	if err := x.decode(&r); err != nil {
		return err
	}
	if err := adminMay(&r); err != nil {
		return err
	}
	if r.ID == "" {
		r.ID = clients.NewID()
	}
	answer := made{ClientID: r.ID}
	if r.NeedsSecret() {
		answer.ClientSecret = tokens.NewSecret()
		r.Secrets = freshSecret(answer.ClientSecret)
	}
	s.warnOfUnusedKeys(x, r.ID, r.JWKS)
	err := s.cfg.Manager.Create(x, &clients.Stored{Registration: r})
	c := change{audit.ClientChanged, r.ID, audit.Created, http.StatusCreated, answer}
	return s.changed(x, c, err)
}

// warnOfUnusedKeys logs which keys of a registered set cannot be used (RFC 7517 §5).
func (s *Server) warnOfUnusedKeys(x *exchange, id string, set *jwt.KeySet) {
	if passed := set.PassedOver(); len(passed) > 0 {
		s.log.WarnContext(x, "registered keys that cannot be used are passed over", "request_id", x.id,
			"client_id", id, "keys", strings.Join(passed, "; "))
	}
}

// freshSecret is the list of secrets of a client that has this one alone.
func freshSecret(text string) []clients.Secret {
	created := time.Now().UTC().Truncate(time.Second)
	return []clients.Secret{{Hash: clients.HashSecret(text), CreatedAt: created}}
}

// adminMay refuses reserved scopes: only config.toml and the command line give them.
func adminMay(r *clients.Registration) error {
	if r.AsksReserved() {
		return refusal(codeInvalidMetadata,
			"scope: grantor:… is given in config.toml or by the command line alone")
	}
	return nil
}

// changeClient lays the members of the body over the registration: absent members stay as they are.
// Disabling ends all tokens, as in switchClient.
func (s *Server) changeClient(x *exchange) error {
	var body clients.Registration
	if err := x.decode(&body); err != nil {
		return err
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(x.body, &named); err != nil {
		return err
	}
	id := x.gin.Param("id")
	s.warnOfUnusedKeys(x, id, body.JWKS)
	d, err := s.cfg.Manager.Update(x, id, func(st *clients.Stored) error {
		st.Stated = slices.Collect(maps.Keys(named))
		scope, standard, disabled := st.Scope, st.DefaultScope, st.Disabled
		if err := x.decode(&st.Registration); err != nil {
			return err
		}
		if len(body.Secrets) > 0 { // encoding/json would decode a new secret over the expiry of the old one
			st.Secrets = body.Secrets
		}
		if len(st.AllowedNetworks) == 0 {
			st.AllowedNetworks = nil // an empty list goes back to the default
		}
		if body.Workload != nil {
			st.Workload = body.Workload
		}
		if st.Disabled != disabled {
			st.Epoch = clients.NewEpoch()
		}
		if st.Scope == scope && st.DefaultScope == standard {
			return nil
		}
		return adminMay(&st.Registration)
	})
	return s.changed(x, change{audit.ClientChanged, id, audit.Changed, http.StatusOK, d}, err)
}

func (s *Server) deleteClient(x *exchange) error {
	id := x.gin.Param("id")
	err := s.cfg.Manager.Delete(x, id)
	return s.changed(x, change{event: audit.ClientChanged, client: id, detail: audit.Deleted}, err)
}

func (s *Server) disableClient(x *exchange) error { return s.switchClient(x, true, audit.Disabled) }
func (s *Server) enableClient(x *exchange) error  { return s.switchClient(x, false, audit.Enabled) }

func (s *Server) switchClient(x *exchange, off bool, what string) error {
	id := x.gin.Param("id")
	err := s.cfg.Manager.SetDisabled(x, id, off)
	return s.changed(x, change{event: audit.ClientChanged, client: id, detail: what}, err)
}

func (s *Server) revokeClientTokens(x *exchange) error {
	id := x.gin.Param("id")
	err := s.cfg.Manager.RevokeTokens(x, id)
	return s.changed(x, change{event: audit.ClientChanged, client: id, detail: audit.TokensRevoked}, err)
}
