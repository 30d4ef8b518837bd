package server

import (
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// shownSecret is a secret in an answer: never its text.
type shownSecret struct {
	ID         string    `json:"id"`
	Credential string    `json:"credential"` // as the audit trail names it
	CreatedAt  time.Time `json:"created_at,omitzero"`
	LastUsed   time.Time `json:"last_used,omitzero"` // within an hour
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
}

func (s *Server) listSecrets(x *exchange) error {
	d, err := s.cfg.Manager.Get(x, x.gin.Param("id"))
	if err != nil {
		return adminError(err)
	}
	list := []shownSecret{}
	for _, e := range d.Secrets {
		used, err := s.cfg.Manager.Redis.LastUsed(x, d.ID, e.Hash)
		if err != nil {
			return err
		}
		list = append(list, shownSecret{e.ID(), e.Credential(), e.CreatedAt, used, e.ExpiresAt})
	}
	keys, err := s.cfg.Manager.Redis.KeyUses(x, &d.Registration)
	if err != nil {
		return err
	}
	writeJSON(x, http.StatusOK, struct {
		Secrets []shownSecret    `json:"secrets"`
		Keys    []clients.KeyUse `json:"keys,omitempty"`
	}{list, keys})
	return nil
}

// rotateSecret gives a client another secret; the old one expires after overlap. With secret_hash
// the caller drew the secret, and may repeat the call.
func (s *Server) rotateSecret(x *exchange) error {
	var ask struct {
		Overlap *clients.Duration   `json:"overlap"`
		Hash    *clients.SecretHash `json:"secret_hash"`
		Force   bool                `json:"force"`
	}
	if err := x.decode(&ask); err != nil {
		return err
	}
	if ask.Overlap == nil || *ask.Overlap < 0 {
		return refusal(codeInvalidRequest,
			`overlap is required: how long the old secret stays valid, such as "24h"; "0s" ends it at once`)
	}
	answer, hash := made{ClientID: x.gin.Param("id")}, clients.SecretHash{}
	if ask.Hash != nil {
		hash = *ask.Hash
	} else {
		answer.ClientSecret = tokens.NewSecret()
		hash = clients.HashSecret(answer.ClientSecret)
	}
	done, err := s.cfg.Manager.RotateSecret(x, answer.ClientID, hash, time.Duration(*ask.Overlap), ask.Force)
	answer.SecretID = clients.Secret{Hash: hash}.ID()
	if done == nil {
		answer.ClientSecret = ""
	} else {
		answer.Ended = done.Ended
	}
	c := change{audit.ClientChanged, answer.ClientID, audit.SecretRotated, http.StatusCreated, answer}
	return s.changed(x, c, err)
}

func (s *Server) revokeSecret(x *exchange) error {
	id := x.gin.Param("id")
	err := s.cfg.Manager.RevokeSecret(x, id, x.gin.Param("secret"))
	return s.changed(x, change{event: audit.ClientChanged, client: id, detail: audit.SecretRevoked}, err)
}
