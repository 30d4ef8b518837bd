package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/audit"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// Sizes of pages.
const (
	defaultPage = 100
	largestPage = 1000
)

// page reads limit and cursor of a list's query.
func (x *exchange) page() (cursor string, size int, err error) {
	size = defaultPage
	if text := x.gin.Query("limit"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 1 || size > largestPage {
			return "", 0, refusal(codeInvalidRequest, "limit must be a number from 1 to %d", largestPage)
		}
	}
	if cursor = x.gin.Query("cursor"); cursor != "" {
		_, at, _ := strings.Cut(cursor, ".")
		if _, err := strconv.ParseUint(at, 10, 64); err != nil { // Redis would answer with an error
			return "", 0, refusal(codeInvalidRequest, "cursor must be the next_cursor of an earlier answer")
		}
	}
	return cursor, size, nil
}

func (s *Server) listClients(x *exchange) error {
	cursor, size, err := x.page()
	if err != nil {
		return err
	}
	if cursor != "" && !clients.IsCursor(cursor) {
		return refusal(codeInvalidRequest, "cursor must be the next_cursor of an earlier answer")
	}
	list, next, err := s.cfg.Manager.List(x, cursor, size)
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
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
}

// createClient registers a client. Without secrets in the body, and without the method none, it gets a fresh secret.
func (s *Server) createClient(x *exchange) error {
	var r clients.Registration
	if err := x.decode(&r); err != nil {
		return err
	}
	if err := adminMay(&r); err != nil {
		return err
	}
	if r.ClientID == "" {
		r.ClientID = clients.NewID()
	}
	answer := made{ClientID: r.ClientID}
	if r.NeedsSecret() {
		answer.ClientSecret = tokens.NewSecret()
		r.Secrets = []clients.SecretEntry{{Hash: clients.HashSecret(answer.ClientSecret), CreatedAt: time.Now().UTC().Truncate(time.Second)}}
	}
	if err := s.cfg.Manager.Create(x, &clients.Stored{Registration: r}); err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, r.ClientID, "created", http.StatusCreated, answer)
}

// adminMay refuses what the admin API cannot give: scopes over Grantor itself come from config.toml and the command line alone.
func adminMay(r *clients.Registration) error {
	if r.AsksReserved() {
		return refusal(codeInvalidMetadata, "scope: grantor:… is given in config.toml or by the command line alone")
	}
	return nil
}

// changeClient lays the members of the body over the registration: absent ones stay as they are. Disabling kills tokens, here as in
// switchClient.
func (s *Server) changeClient(x *exchange) error {
	var body clients.Registration
	if err := x.decode(&body); err != nil {
		return err
	}
	id := x.gin.Param("id")
	d, err := s.cfg.Manager.Update(x, id, func(st *clients.Stored) error {
		scope, standard, disabled := st.Scope, st.DefaultScope, st.Disabled
		if err := x.decode(&st.Registration); err != nil {
			return err
		}
		if len(body.Secrets) > 0 { // encoding/json decodes into what is there: a new secret would keep the old one's end
			st.Secrets = body.Secrets
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
	if err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, id, "changed", http.StatusOK, d)
}

func (s *Server) deleteClient(x *exchange) error {
	id := x.gin.Param("id")
	if err := s.cfg.Manager.Delete(x, id); err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, id, "deleted", 0, nil)
}

func (s *Server) disableClient(x *exchange) error { return s.switchClient(x, true, "disabled") }
func (s *Server) enableClient(x *exchange) error  { return s.switchClient(x, false, "enabled") }

func (s *Server) switchClient(x *exchange, off bool, what string) error {
	id := x.gin.Param("id")
	if err := s.cfg.Manager.SetDisabled(x, id, off); err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, id, what, 0, nil)
}

func (s *Server) revokeClientTokens(x *exchange) error {
	id := x.gin.Param("id")
	if err := s.cfg.Manager.RevokeTokens(x, id); err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, id, "tokens revoked", 0, nil)
}

// shownSecret is a secret in an answer: never its text.
type shownSecret struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"` // within an hour
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

func (s *Server) listSecrets(x *exchange) error {
	d, err := s.cfg.Manager.Get(x, x.gin.Param("id"))
	if err != nil {
		return adminError(err)
	}
	list := []shownSecret{}
	for _, e := range d.Secrets {
		used, err := s.cfg.Manager.Redis.LastUsed(x, d.ClientID, e.Hash)
		if err != nil {
			return err
		}
		list = append(list, shownSecret{e.ID(), e.CreatedAt, used, e.ExpiresAt})
	}
	writeJSON(x, http.StatusOK, map[string]any{"secrets": list})
	return nil
}

// rotateSecret gives a client a fresh secret; the old one lives for overlap.
func (s *Server) rotateSecret(x *exchange) error {
	var ask struct {
		Overlap *clients.Life `json:"overlap"`
	}
	if err := x.decode(&ask); err != nil {
		return err
	}
	if ask.Overlap == nil || *ask.Overlap < 0 {
		return refusal(codeInvalidRequest, `overlap is required: how long the old secret lives, such as "24h"; "0s" ends it at once`)
	}
	id, secret := x.gin.Param("id"), tokens.NewSecret()
	if err := s.cfg.Manager.RotateSecret(x, id, clients.HashSecret(secret), time.Duration(*ask.Overlap)); err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, id, "secret rotated", http.StatusCreated, made{id, secret})
}

func (s *Server) revokeSecret(x *exchange) error {
	id := x.gin.Param("id")
	if err := s.cfg.Manager.RevokeSecret(x, id, x.gin.Param("secret")); err != nil {
		return adminError(err)
	}
	return s.changed(x, audit.RegistryChanged, id, "secret revoked", 0, nil)
}
