// Package importer reads what other token servers export, and says what becomes of it here:
// clients, API keys, and what is left out of each, line by line. It writes nothing.
package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// MaxItems is how many items a file may have: all are written in one step.
const MaxItems = 5000

// Options say what the source does not.
type Options struct {
	Scope, DefaultScope string   // of each client, where the source keeps no scopes with its clients
	LeaveOut            []string // scopes that no client gets
	Catalogue           *scopes.Catalogue
	Now                 time.Time
}

// Item is one entry of the source, and what becomes of it.
type Item struct {
	Kind    string // KindClient, KindKey, KindUser
	Name    string // as the source names it
	Client  *clients.Registration
	Key     *Key     // of KindKey
	Secret  string   // what becomes of the secret, for people; "": it has none
	LeftOut []string // members of the source that have no counterpart
	Refused string   // why nothing becomes of it; "": something does

	plain string // the secret, where the source keeps it in clear and it may be chosen
}

// The kinds.
const (
	KindClient = "client"
	KindKey    = "API key"
	KindUser   = "user"
)

// Key is an API key of another server, which goes on working under its old text.
type Key struct {
	Digest string // SHA-512 of its text, in hexadecimal digits
	Name   string
	Ends   time.Time // zero: it has no end
}

// A Source is a program whose export can be read.
type Source struct {
	Name, Short string
	ScopeNeeded bool // its clients have no scopes: Options.Scope says them
	Read        func([]byte, Options) ([]Item, error)
}

// Sources returns every source.
func Sources() []Source {
	return []Source{
		{"django-oauth-toolkit", "Clients of django-oauth-toolkit, from manage.py dumpdata", true, djangoOAuthToolkit},
		{"hydra", "Clients of Ory Hydra, from its table hydra_client as JSON", false, hydra},
		{"keycloak", "Clients of Keycloak, from kc.sh export", false, keycloak},
		{"rest-framework-api-key", "API keys of djangorestframework-api-key, from manage.py dumpdata", true, djangoAPIKeys},
	}
}

// Same says whether a stored secret is the one that the item has: the same hash, or what its first
// use or an earlier import made of it.
func (i *Item) Same(stored clients.Secret) bool {
	if i.Client == nil || len(i.Client.Secrets) == 0 {
		return false
	}
	mine := i.Client.Secrets[0]
	return stored.Hash == mine.Hash || stored.FormerID != "" && stored.FormerID == mine.ID() ||
		i.plain != "" && stored.Hash.Slow() && users.MatchesSecret(stored.Hash.String(), i.plain)
}

func refused(kind, name, format string, args ...any) Item {
	return Item{Kind: kind, Name: name, Refused: fmt.Sprintf(format, args...)}
}

// leaveOut notes members that the source has a value for.
func (i *Item) leaveOut(name string, has bool) {
	if has {
		i.LeftOut = append(i.LeftOut, name)
	}
}

// name gives the client a name for people.
func (i *Item) name(text string) {
	if printable.CheckName(text) != nil || printable.Redact(text) != text {
		i.LeftOut = append(i.LeftOut, "its name, which cannot be shown in a terminal")
		return
	}
	i.Client.Name = text
}

// setSecret gives the client a secret that the source keeps in clear, or as a hash. It returns why
// it cannot.
func (i *Item) setSecret(text string, ends time.Time) (problem string) {
	s := clients.Secret{ExpiresAt: ends}
	scheme := schemeOf(text)
	switch {
	case text == "":
		return "it is confidential and has no secret"
	case scheme != "":
		slow, err := clients.ParseSlowHash(text)
		if err == nil {
			err = users.CheckSecretHash(text)
		}
		if err != nil {
			return "its secret is hashed by " + scheme + ", which cannot be checked here: give it a new secret"
		}
		s.Hash, i.Secret = slow, scheme+", until its first use"
	case clients.CheckSecret(text) != nil:
		return "its secret cannot be one: " + clients.CheckSecret(text).Error()
	case clients.RandomSecret(text):
		s.Hash, i.Secret = clients.HashSecret(text), "SHA-256"
	default:
		i.plain = text
		s.Hash, i.Secret = clients.SecretHash{}, "argon2id, because it is weak"
	}
	i.Client.Secrets = []clients.Secret{s}
	return ""
}

// Seal hashes a weak secret that the source keeps in clear, for an item that is to be written.
func (i *Item) Seal() error {
	if i.plain == "" {
		return nil
	}
	slow, err := clients.ParseSlowHash(users.HashSecret(i.plain))
	i.Client.Secrets[0].Hash = slow
	return err
}

// schemeOf names the scheme of a hash; "": the text is none.
func schemeOf(text string) string {
	if strings.HasPrefix(text, "$2") && len(text) == 60 {
		return "bcrypt"
	}
	scheme, rest, ok := strings.Cut(text, "$")
	if ok && scheme == "" {
		scheme, _, _ = strings.Cut(rest, "$")
		if strings.HasPrefix(scheme, "argon2") || strings.HasPrefix(scheme, "pbkdf2-") {
			return scheme
		}
		return ""
	}
	known := []string{"pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt", "bcrypt_sha256", "scrypt", "md5", "sha1", "sha512",
		"unsalted_md5", "unsalted_sha1", "crypt"}
	if ok && slices.Contains(known, scheme) {
		return scheme
	}
	return ""
}

// list reads a JSON list of objects, or objects one after the other, as databases write rows.
func list[T any](text []byte, what string) ([]T, error) {
	var all []T
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("[")) {
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, fmt.Errorf("the file is no list of %s in JSON: %w", what, err)
		}
	} else {
		for d := json.NewDecoder(bytes.NewReader(text)); ; {
			var one T
			err := d.Decode(&one)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("the file is no JSON: after %d %s: %w", len(all), what, err)
			}
			all = append(all, one)
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("the file has no %s", what)
	case len(all) > MaxItems:
		return nil, fmt.Errorf("the file has %d %s, and %d at most are written in one step: split it", len(all), what, MaxItems)
	}
	return all, nil
}
