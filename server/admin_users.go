package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// managedUsers refuses where the users are in a directory of somebody else, who manages them there.
// Sessions are managed here all the same.
func (s *Server) managedUsers(*exchange) error {
	if s.cfg.UserDirectory == nil {
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict,
			Description: `users are managed here only with [users] source = "redis"; ` +
				`elsewhere the directory's owner does it`}
	}
	return nil
}

// shownUser is a user in an answer: without hash or password.
type shownUser struct {
	Sub      string     `json:"sub"`
	Username string     `json:"username"`
	Scope    *string    `json:"scope,omitempty"` // absent: [users] scope
	Claims   claims.Set `json:"claims,omitzero"`
	Disabled bool       `json:"disabled"`
	Warning  string     `json:"warning,omitempty"` // of an answer to a change: the user can do nothing
}

func showUser(u *users.User) shownUser {
	shown := shownUser{Sub: u.ID, Username: u.Username, Claims: u.Claims, Disabled: u.Disabled}
	if u.Scope != nil {
		shown.Scope = new(u.Scope.String())
	}
	return shown
}

// showChanged is showUser, with a warning where the change leaves the user no scope.
func (s *Server) showChanged(u *users.User) shownUser {
	shown := showUser(u)
	shown.Warning = users.MayNothing(u, s.cfg.UserScope, s.cfg.Catalogue)
	return shown
}

func (s *Server) listUsers(x *exchange) error {
	list := []shownUser{}
	if name := x.gin.Query("username"); name != "" {
		found, err := s.userByName(x, name)
		if err != nil {
			return err
		}
		writeJSON(x, http.StatusOK, map[string]any{"users": append(list, found...)})
		return nil
	}
	cursor, size, err := x.page()
	if err != nil {
		return err
	}
	page, next, err := s.cfg.UserDirectory.Page(x, cursor, size)
	if err != nil {
		return adminError(err)
	}
	for _, u := range page {
		list = append(list, showUser(u))
	}
	answer := map[string]any{"users": list}
	if next != "" {
		answer["next_cursor"] = next
	}
	writeJSON(x, http.StatusOK, answer)
	return nil
}

func (s *Server) userByName(x *exchange, name string) ([]shownUser, error) {
	normal, err := users.NormalizeName(name)
	if err != nil {
		return nil, refusal(codeInvalidRequest, "username: %s", err)
	}
	u, err := s.cfg.UserDirectory.Find(x, normal)
	if err != nil {
		return nil, adminError(err)
	}
	return []shownUser{showUser(u)}, nil
}

func (s *Server) createUser(x *exchange) error {
	var b userBody
	if err := x.decode(&b); err != nil {
		return err
	}
	hash, err := b.hash()
	if err != nil {
		return err
	}
	if b.Sub != "" {
		if err := users.CheckSubject(b.Sub); err != nil {
			return refusal(codeInvalidRequest, "sub: %s", err)
		}
	}
	if hash == "" || b.Username == "" {
		return refusal(codeInvalidRequest, "username, and password or password_hash, are required")
	}
	rules, err := b.rules(s.cfg.Catalogue)
	if err != nil {
		return err
	}
	if err := b.checkClaims(); err != nil {
		return err
	}
	n := users.NewUser{ID: b.Sub, Username: b.Username, PasswordHash: hash, Scope: rules,
		Disabled: b.Disabled != nil && *b.Disabled}
	if b.Claims != nil {
		n.Claims = *b.Claims
	}
	added, err := s.cfg.UserDirectory.Add(x, n)
	if added == nil {
		return adminError(err)
	}
	c := change{event: audit.UserChanged, detail: audit.Created + " " + s.codec.Tag(added.ID).String(),
		status: http.StatusCreated, answer: s.showChanged(added)}
	return s.changed(x, c, err)
}

func (s *Server) showUser(x *exchange) error {
	u, err := s.cfg.UserDirectory.ByID(x, x.gin.Param("sub"))
	if err != nil {
		return adminError(err)
	}
	writeJSON(x, http.StatusOK, showUser(u))
	return nil
}

// changeUser changes a user. A new password and disabling end every session.
func (s *Server) changeUser(x *exchange) error {
	var b userBody
	if err := x.decode(&b); err != nil {
		return err
	}
	if b.Sub != "" {
		return refusal(codeInvalidRequest, "sub cannot be changed")
	}
	hash, err := b.hash()
	if err != nil {
		return err
	}
	rules, err := b.rules(s.cfg.Catalogue)
	if err != nil {
		return err
	}
	if err := b.checkClaims(); err != nil {
		return err
	}
	id := x.gin.Param("sub")
	edited, err := s.editUser(x, id, hash, rules, &b)
	c := change{audit.UserChanged, "", audit.Changed + " " + s.codec.Tag(id).String(), http.StatusOK, nil}
	if err != nil && !errors.Is(err, users.ErrNotConfirmed) {
		if edited {
			s.recordChange(x, c, true)
		}
		return adminError(err)
	}
	u, gone := s.cfg.UserDirectory.ByID(x, id)
	if gone != nil {
		s.recordChange(x, c, err != nil)
		return adminError(gone)
	}
	c.answer = s.showChanged(u)
	return s.changed(x, c, err)
}

// editUser makes each change that is asked for, and then ends the user's sessions where a change
// demands it, also when an earlier step was not confirmed. It reports whether something was, or may
// have been, changed.
func (s *Server) editUser(
	x *exchange, id, hash string, rules *scopes.Rules, b *userBody,
) (edited bool, err error) {
	ends, disabled := false, b.Disabled
	if _, err := s.cfg.UserDirectory.ByID(x, id); err != nil {
		return false, err
	}
	var unconfirmed error
	step := func(wanted, ending bool, do func() error) {
		if !wanted || err != nil {
			return
		}
		failed := do()
		edited, ends = edited || !errors.Is(failed, users.ErrExists), ends || ending
		if errors.Is(failed, users.ErrNotConfirmed) {
			unconfirmed = failed
		} else {
			err = failed
		}
	}
	step(b.Username != "", false, func() error { return s.cfg.UserDirectory.Rename(x, id, b.Username) })
	step(rules != nil, false, func() error { return s.cfg.UserDirectory.SetScope(x, id, rules) })
	step(b.Claims != nil, false, func() error {
		return s.cfg.UserDirectory.ChangeClaims(x, id, func(claims.Set) claims.Set { return *b.Claims })
	})
	step(hash != "", true, func() error { return s.cfg.UserDirectory.SetPassword(x, id, hash) })
	step(disabled != nil && *disabled, true, func() error { return s.cfg.UserDirectory.Disable(x, id) })
	step(disabled != nil && !*disabled, false, func() error { return s.cfg.UserDirectory.Enable(x, id) })
	if ends {
		unconfirmed = errors.Join(unconfirmed, s.cfg.Store.EndUser(x, s.codec.Tag(id)))
	}
	if err == nil {
		err = unconfirmed
	}
	return edited, err
}

// deleteUser ends the user's sessions before and after the deletion: a session that began in
// between would outlive it. A repetition finds no user, and ends the sessions all the same.
func (s *Server) deleteUser(x *exchange) error {
	id := x.gin.Param("sub")
	tag := s.codec.Tag(id)
	ended := s.cfg.Store.EndUser(x, tag)
	deleted := s.cfg.UserDirectory.Delete(x, id)
	gone := errors.Is(deleted, users.ErrUnknown)
	if deleted == nil || gone || errors.Is(deleted, users.ErrNotConfirmed) {
		ended = s.cfg.Store.EndUser(x, tag)
	}
	c := change{event: audit.UserChanged, detail: audit.Deleted + " " + tag.String()}
	switch err := errors.Join(deleted, ended); {
	case errors.Is(err, users.ErrNotConfirmed):
		return s.changed(x, c, err)
	case gone && ended == nil:
		c.detail = audit.SessionsEnded + " " + tag.String()
		s.recordChange(x, c, false)
		return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound,
			Description: "there is no user of this id; whatever sessions it had have ended"}
	case deleted == nil && ended != nil:
		s.recordChange(x, c, true)
		return ended
	case err != nil && ended == nil:
		c.detail = audit.SessionsEnded + " " + tag.String()
		s.recordChange(x, c, false)
		return adminError(err)
	default:
		return s.changed(x, c, err)
	}
}
