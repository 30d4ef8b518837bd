package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SecretRotation is what rotating a secret did.
type SecretRotation struct {
	SecretID string   // of the new one
	Ended    []string // ids of those that ended at once
}

// InUseError refuses a rotation that would end a secret that is in use.
type InUseError struct{ secrets []secretUse }

type secretUse struct {
	Secret
	used time.Time
}

func (e *InUseError) Error() string {
	var list []string
	for _, s := range e.secrets {
		text := s.ID() + " (last used " + s.used.UTC().Format("2006-01-02 15:04 UTC")
		if !s.ExpiresAt.IsZero() {
			text += ", ends " + s.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")
		}
		list = append(list, text+")")
	}
	return "a client has two valid secrets at most, and both are in use: " + strings.Join(list, " and ") + "; another one would end one of them now"
}

// RotateSecret gives a client another secret beside the valid ones, which expire after overlap; 0:
// at once. A repetition with the same secret changes nothing. Where two are valid already, one that
// nobody ever used goes, the newest of them; where both are used it is an *InUseError, unless force
// lets the one go that was not used for longer. A result beside an error: it was, or may have been,
// done.
func (m *Manager) RotateSecret(ctx context.Context, id string, fresh SecretHash, overlap time.Duration, force bool) (*SecretRotation, error) {
	now := time.Now().UTC().Truncate(time.Second)
	var out *SecretRotation
	_, err := m.Update(ctx, id, func(s *Stored) error {
		out = nil
		if s.Method == MethodNone || len(s.Secrets) == 0 {
			return &FieldError{Field: "token_endpoint_auth_method", Err: errors.New("this client has no secret to rotate")}
		}
		next := &SecretRotation{SecretID: fresh.id()}
		if slices.ContainsFunc(s.Secrets, func(e Secret) bool { return e.Hash == fresh }) {
			out = next
			return nil // this very change, repeated
		}
		live := slices.DeleteFunc(s.Secrets, func(e Secret) bool { return !e.ExpiresAt.IsZero() && !e.ExpiresAt.After(now) })
		if overlap <= 0 {
			for _, e := range live {
				next.Ended = append(next.Ended, e.ID())
			}
			live = nil
		}
		if len(live) >= MaxSecrets {
			gone, err := m.dispensable(ctx, id, live, force)
			if err != nil {
				return err
			}
			next.Ended = append(next.Ended, live[gone].ID())
			live = slices.Delete(live, gone, gone+1)
		}
		for i := range live {
			if end := now.Add(overlap); live[i].ExpiresAt.IsZero() || live[i].ExpiresAt.After(end) {
				live[i].ExpiresAt = end
			}
		}
		s.Secrets = append(live, Secret{Hash: fresh, CreatedAt: now})
		out = next
		return nil
	})
	return out, err
}

// dispensable says which one of too many secrets can go.
func (m *Manager) dispensable(ctx context.Context, id string, live []Secret, force bool) (int, error) {
	oldest, uses := 0, make([]secretUse, len(live))
	for i, e := range live {
		used, err := m.lastUsed(ctx, id, e.Hash)
		if err != nil {
			return 0, err
		}
		uses[i] = secretUse{e, used}
		if used.Before(uses[oldest].used) || used.IsZero() && uses[oldest].used.IsZero() && !e.CreatedAt.Before(live[oldest].CreatedAt) {
			oldest = i
		}
	}
	if !uses[oldest].used.IsZero() && !force {
		return 0, &InUseError{uses}
	}
	return oldest, nil
}

// lastUsed is what Redis knows, and what this node has not stored yet.
func (m *Manager) lastUsed(ctx context.Context, id string, h SecretHash) (time.Time, error) {
	used, err := m.Redis.LastUsed(ctx, id, h)
	if m.Node != nil && err == nil {
		if here := m.Node.lastUse(id, h); here.After(used) {
			return here, nil
		}
	}
	return used, err
}

// RevokeSecret removes one secret of a client. The last one cannot go: disable the client instead.
func (m *Manager) RevokeSecret(ctx context.Context, id, secretID string) error {
	_, err := m.Update(ctx, id, func(s *Stored) error {
		left := slices.DeleteFunc(slices.Clone(s.Secrets), func(e Secret) bool { return e.ID() == secretID })
		switch {
		case len(left) == len(s.Secrets):
			return &FieldError{Field: "secrets", Err: fmt.Errorf("there is none with the id %q", secretID)}
		case len(left) == 0:
			return &FieldError{Field: "secrets", Err: errors.New("this is the last one: rotate it, or disable the client")}
		}
		s.Secrets = left
		return nil
	})
	return err
}
