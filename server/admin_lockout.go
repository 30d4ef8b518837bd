package server

import (
	"net/http"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/users"
)

// shownLockout is what counts of a user's failed logins.
type shownLockout struct {
	Sub         string                `json:"sub"`
	SubjectHash string                `json:"subject_hash"` // names the user in the audit trail
	Locked      bool                  `json:"locked"`       // somewhere
	Failures    []lockout.ShownBudget `json:"failures"`
}

// shownLocked is a user who is locked.
type shownLocked struct {
	Sub         string `json:"sub"`
	SubjectHash string `json:"subject_hash"`
	lockout.ShownBudget
}

// lockoutKeys are what the failures of a user are counted by: those of the id, and of the name that
// the query gives, folded as at a login.
func lockoutKeys(x *exchange) ([]string, error) {
	sub, name := x.gin.Param("sub"), x.gin.Query("username")
	if err := users.CheckSubject(sub); err != nil {
		return nil, refusal(codeInvalidRequest, "sub: %s", err)
	}
	keys := []string{users.KeyOf(sub)}
	if name == "" {
		return keys, nil
	}
	normal, err := users.NormalizeName(name)
	if err != nil {
		return nil, refusal(codeInvalidRequest, "username: %s", err)
	}
	return append(keys, users.KeyOfName(normal)), nil
}

func (s *Server) showLockout(x *exchange) error {
	keys, err := lockoutKeys(x)
	if err != nil {
		return err
	}
	sub := x.gin.Param("sub")
	shown := shownLockout{Sub: sub, SubjectHash: s.codec.Tag(sub).String(), Failures: []lockout.ShownBudget{}}
	if s.cfg.Lockout != nil {
		budgets, err := s.cfg.Lockout.Budgets(x, keys...)
		if err != nil {
			return err
		}
		for _, b := range budgets {
			shown.Failures, shown.Locked = append(shown.Failures, lockout.Show(b)), shown.Locked || b.Locked > 0
		}
	}
	writeJSON(x, http.StatusOK, shown)
	return nil
}

// unlockUser forgets a user's failed logins. What was forgotten is in the trail, also where the
// rest could not be.
func (s *Server) unlockUser(x *exchange) error {
	keys, err := lockoutKeys(x)
	if err != nil {
		return err
	}
	return s.unlock(x, s.codec.Tag(x.gin.Param("sub")).String(), func(l *lockout.Lockout) (int, error) {
		return l.Unlock(x, keys...)
	})
}

// unlockAddress forgets the failed logins of all users from an address.
func (s *Server) unlockAddress(x *exchange) error {
	a, ok := address.ParseHop(x.gin.Param("address"))
	if !ok {
		return refusal(codeInvalidRequest, "the path must end with an address such as 203.0.113.7")
	}
	network := address.Counted(a, s.cfg.IPv6Prefix)
	return s.unlock(x, "address "+network, func(l *lockout.Lockout) (int, error) {
		return l.UnlockAddress(x, network)
	})
}

func (s *Server) unlock(x *exchange, whom string, forget func(*lockout.Lockout) (int, error)) error {
	if s.cfg.Lockout != nil {
		n, err := forget(s.cfg.Lockout)
		if n > 0 {
			s.recordChange(x, change{event: audit.UserChanged, detail: audit.Unlocked + " " + whom}, err != nil)
		}
		if err != nil {
			return err
		}
	}
	x.gin.Writer.WriteHeader(http.StatusNoContent)
	x.gin.Writer.WriteHeaderNow()
	return nil
}

// listLocked lists the users of every directory who are locked.
func (s *Server) listLocked(x *exchange) error {
	list := []shownLocked{}
	if s.cfg.Lockout != nil {
		found, err := s.cfg.Lockout.Recent(x)
		if err != nil {
			return err
		}
		for _, b := range found {
			list = append(list, shownLocked{b.Subject, s.codec.Tag(b.Subject).String(), lockout.Show(b.Budget)})
		}
	}
	writeJSON(x, http.StatusOK, map[string]any{"users": list})
	return nil
}
