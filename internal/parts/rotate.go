package parts

import (
	"context"
	"errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// SigningKeys lists and rotates the signing keys for the admin API.
type SigningKeys struct {
	Config keys.Config
	Feed   *feed.Redis
}

// List returns the keys that there are.
func (k *SigningKeys) List(ctx context.Context) ([]keys.Info, error) {
	return keys.List(ctx, k.Config.Store)
}

// Rotate is RotateKeys of these keys.
func (k *SigningKeys) Rotate(ctx context.Context, compromised bool) (changed bool, err error) {
	return RotateKeys(ctx, k.Config, k.Feed, compromised)
}

// RotateKeys rotates the signing keys, as keys.Rotate does. compromised withdraws the present keys:
// verifiers that follow the revocation feed are told before. It reports whether that changed
// anything; with clients.ErrNotConfirmed it did.
func RotateKeys(ctx context.Context, k keys.Config, stream *feed.Redis, compromised bool) (changed bool, err error) {
	var told error
	if compromised {
		if told = endKeys(ctx, k.Store, stream); told != nil && !errors.Is(told, clients.ErrNotConfirmed) {
			return false, told
		}
	}
	if changed, err = keys.Rotate(ctx, k.Store, k, compromised); err == nil {
		err = told
	}
	return changed, err
}

// endKeys tells verifiers that follow the revocation feed, before the keys go: they go as well
// where the store did not confirm the message. A key's name is its kid. Which tokens it signed
// nobody can tell: feed.Nameless has what verifiers keep of introspection asked anew.
func endKeys(ctx context.Context, store keys.Store, stream *feed.Redis) error {
	found, err := keys.List(ctx, store)
	if err != nil || len(found) == 0 {
		return err
	}
	end := feed.End{Names: []string{feed.Nameless}}
	for _, k := range found {
		end.Names = append(end.Names, k.KeyID)
	}
	return stream.Append(ctx, end)
}
