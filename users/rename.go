package users

import (
	"context"
	"errors"
	"slices"
)

// Rename gives a user another login name. The id stays, and with it every session. It returns
// ErrExists where the name is another user's, and ErrUnknown where there is no such user.
//
// A name and a record are in different shards, so this takes several steps, and the record decides:
// a name leads only to a record that has it. The record notes each name that may lead to it, before
// it does, until it does no more. So whatever fails between, a repetition finishes the rest, the
// next Rename and Delete give up what is left, and nobody else gets the name meanwhile.
func (d *Redis) Rename(ctx context.Context, id, name string) error {
	name, err := NormalizeName(name)
	if err != nil {
		return err
	}
	var unconfirmed []error
	for _, step := range []func(context.Context, string, string) error{d.noteName, d.holdName, d.takeName, d.giveUpNames, d.holdName} {
		switch err := step(ctx, id, name); {
		case failed(err):
			return errors.Join(append(unconfirmed, err)...)
		case err != nil:
			unconfirmed = append(unconfirmed, err)
		}
	}
	return errors.Join(unconfirmed...)
}

// noteName notes a name that is about to lead to the record.
func (d *Redis) noteName(ctx context.Context, id, name string) error {
	return d.change(ctx, id, func(r *userRecord) {
		if r.Username != name && !slices.Contains(r.Names, name) {
			r.Names = append(r.Names, name)
		}
	})
}

// holdName makes the name lead to the record. Where it leads to another's, the note goes.
func (d *Redis) holdName(ctx context.Context, id, name string) error {
	err := d.claimName(ctx, &userRecord{ID: id, Username: name})
	if !errors.Is(err, ErrExists) {
		return err
	}
	// A note that stays is harmless: only a name that leads here is given up.
	_ = d.change(ctx, id, func(r *userRecord) { r.Names = without(r.Names, name) })
	return err
}

// takeName changes the name in the record, from which moment on logins need the new one.
func (d *Redis) takeName(ctx context.Context, id, name string) error {
	return d.change(ctx, id, func(r *userRecord) {
		if r.Username != name {
			r.Names, r.Username = append(without(r.Names, name), r.Username), name
		}
	})
}

// giveUpNames frees every name that leads to the record and is not its own.
func (d *Redis) giveUpNames(ctx context.Context, id, _ string) error {
	text, err := read(ctx, d.ids, id)
	if err != nil {
		return err
	}
	r, err := parseRecord(text)
	if err != nil || len(r.Names) == 0 {
		return err
	}
	unconfirmed, err := d.freeNames(ctx, r)
	if err != nil {
		return err
	}
	return errors.Join(unconfirmed, d.change(ctx, id, func(now *userRecord) {
		for _, name := range r.Names {
			now.Names = without(now.Names, name)
		}
	}))
}

// freeNames frees the names that a record notes beside its own.
func (d *Redis) freeNames(ctx context.Context, r *userRecord) (unconfirmed, err error) {
	for _, name := range r.Names {
		if name == r.Username {
			continue
		}
		switch _, err := d.take(ctx, d.names.Key(name), name, r.ID); {
		case failed(err):
			return unconfirmed, err
		case err != nil:
			unconfirmed = err
		}
	}
	return unconfirmed, nil
}

// without returns a list without a name; nil where nothing is left.
func without(list []string, name string) []string {
	if list = slices.DeleteFunc(slices.Clone(list), func(n string) bool { return n == name }); len(list) == 0 {
		return nil
	}
	return list
}
