package cli

import (
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/users"
)

func (p Program) userAdd(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	if err := u.claims.read(); err != nil {
		return err
	}
	n := users.NewUser{ID: u.id, Username: u.name, Claims: u.claims.set}
	if u.scope != "" {
		var err error
		if n.Scope, err = u.rules(); err != nil {
			return err
		}
	}
	var err error
	if n.PasswordHash, err = p.newPassword(u.cmd, u.passwordStdin); err != nil {
		return err
	}
	added, err := u.redis.Add(u.ctx, n)
	if added == nil {
		return err
	}
	if wasMade(err) {
		u.tell(added.ID, audit.Created, err)
	}
	if nothing := users.MayNothing(added, u.cfg.UserScope(), u.cfg.Catalogue()); nothing != "" {
		fmt.Fprintln(u.cmd.ErrOrStderr(), "warning:", nothing)
	}
	return errors.Join(answer(u.cmd, u.asJSON, map[string]string{"sub": added.ID, "username": added.Username}, added.ID+"\n"), err)
}

// listed is a user in an answer.
type listed struct {
	Sub      string     `json:"sub"`
	Username string     `json:"username"`
	Scope    string     `json:"scope,omitempty"`
	Claims   claims.Set `json:"claims,omitzero"`
	Disabled bool       `json:"disabled"`
}

func (p Program) userList(u *userRun) error {
	if u.locked {
		return u.userListLocked()
	}
	if err := u.managed(); err != nil {
		return err
	}
	list := []listed{}
	for found, err := range u.redis.List(u.ctx) {
		if err != nil {
			return err
		}
		l := listed{Sub: found.ID, Username: found.Username, Claims: found.Claims, Disabled: found.Disabled}
		if found.Scope != nil {
			l.Scope = found.Scope.String()
		}
		list = append(list, l)
	}
	text := newTable()
	for _, l := range list {
		state := ""
		if l.Disabled {
			state = "disabled"
		}
		text.row(l.Username, l.Sub, l.Scope, state)
	}
	return answer(u.cmd, u.asJSON, list, text.String())
}

// changed runs a change of a user that ends all of their sessions, whatever the confirmation of the
// change says.
func (u *userRun) changed(change func(id string) error, detail, what string) error {
	if err := u.managed(); err != nil {
		return err
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	unconfirmed := change(id)
	if unconfirmed != nil && !errors.Is(unconfirmed, users.ErrNotConfirmed) {
		return unconfirmed
	}
	if err := u.endAll(id); err != nil {
		if unconfirmed = err; !errors.Is(err, users.ErrNotConfirmed) {
			u.tell(id, detail, err)
			return fmt.Errorf("the user is changed, but the sessions may live on: run \"grantor user logout --sub %s --all\": %w", id, err)
		}
	}
	if unconfirmed != nil {
		unconfirmed = fmt.Errorf("--sub %s names the user: %w", id, unconfirmed)
	}
	return u.done(id, unconfirmed, detail, what+"; every session has ended")
}

func (p Program) userSetPassword(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	hash, err := p.newPassword(u.cmd, u.passwordStdin)
	if err != nil {
		return err
	}
	return u.changed(func(id string) error { return u.redis.SetPassword(u.ctx, id, hash) }, audit.Changed, "the password is set")
}

func (p Program) userDisable(u *userRun) error {
	if err := p.sure(u.cmd, u.yes, "disable the user and end every session"); err != nil {
		return err
	}
	return u.changed(func(id string) error { return u.redis.Disable(u.ctx, id) }, audit.Changed, "disabled")
}

func (p Program) userDelete(u *userRun) error {
	if err := p.sure(u.cmd, u.yes, "delete the user and end every session"); err != nil {
		return err
	}
	return u.changed(func(id string) error {
		ended := u.endAll(id)
		if !wasMade(ended) {
			return ended
		}
		err := u.redis.Delete(u.ctx, id)
		if !wasMade(err) {
			u.tell(id, audit.SessionsEnded, ended)
		}
		if errors.Is(err, users.ErrUnknown) && !errors.Is(err, users.ErrNotConfirmed) {
			return u.already(id)
		}
		return err
	}, audit.Deleted, "deleted")
}

func (p Program) userEnable(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	return u.done(id, u.redis.Enable(u.ctx, id), audit.Changed, "enabled")
}

// already says that a user of this id was deleted before; the sessions have ended all the same.
func (u *userRun) already(id string) error {
	return fmt.Errorf("there is no user with the id %q; whatever sessions it had have ended", id)
}
