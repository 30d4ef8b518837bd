package cli

import (
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// userUpdate changes what needs no session to end.
func (p Program) userUpdate(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	changes, err := u.changes()
	if err != nil {
		return err
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	var unconfirmed error
	for i, change := range changes {
		err := change(id)
		if !wasMade(err) {
			if i > 0 { // one change was made, and this one failed
				u.tell(id, audit.Changed, unconfirmed)
			}
			return err
		}
		unconfirmed = errors.Join(unconfirmed, err)
	}
	u.warnOfNothing(id)
	return u.done(id, unconfirmed, audit.Changed, "the user is changed; sessions see it at their next refresh")
}

// changes returns what the flags ask for, the name first: only the name can be refused by others.
func (u *userRun) changes() (list []func(id string) error, err error) {
	flags := u.cmd.Flags()
	if flags.Changed("username") {
		if _, err := users.NormalizeName(u.username); err != nil {
			return nil, usageError{fmt.Errorf("--username: %w", err)}
		}
		list = append(list, func(id string) error {
			err := u.redis.Rename(u.ctx, id, u.username)
			if errors.Is(err, users.ErrExists) {
				return fmt.Errorf("another user has the name %q; choose another name", u.username)
			}
			return err
		})
	}
	switch own := flags.Changed("scope"); {
	case own && u.defaultScope:
		return nil, usageError{errors.New("--scope and --default-scope exclude each other: give one of them")}
	case own:
		rules, err := u.rules()
		if err != nil {
			return nil, err
		}
		list = append(list, func(id string) error { return u.redis.SetScope(u.ctx, id, rules) })
	case u.defaultScope:
		list = append(list, func(id string) error { return u.redis.SetScope(u.ctx, id, nil) })
	}
	if flags.Changed("claim") {
		if err := u.claims.read(); err != nil {
			return nil, err
		}
		list = append(list, func(id string) error { return u.redis.ChangeClaims(u.ctx, id, u.claims.of) })
	}
	if len(list) == 0 {
		return nil, usageError{errors.New("say what to change: --scope S, --default-scope, --claim N=V or --username N")}
	}
	return list, nil
}

// rules reads --scope, and holds it against the scopes that exist.
func (u *userRun) rules() (*scopes.Rules, error) {
	rules, err := scopes.ParseRules(u.scope)
	if err == nil {
		err = users.CheckKnownScope(rules, u.cfg.Catalogue())
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--scope: %w", err)}
	}
	return &rules, nil
}

// warnOfNothing warns where a user can have no scope at all.
func (u *userRun) warnOfNothing(id string) {
	changed, err := u.redis.ByID(u.ctx, id)
	if err != nil {
		return
	}
	if nothing := users.MayNothing(changed, u.cfg.UserScope(), u.cfg.Catalogue()); nothing != "" {
		fmt.Fprintln(u.cmd.ErrOrStderr(), "warning:", nothing)
	}
}
