package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/tokens"
)

// newSecret returns the hash of the secret that the flags name, and the secret itself where it was
// made here.
func (p Program) newSecret(r *clientRun) (hash clients.SecretHash, secret string, err error) {
	f := r.secret
	given := 0
	for _, is := range []bool{f.file != "", f.hash != "", f.stdin} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return hash, "", usageError{errors.New("say one of --secret-file, --secret-hash, --secret-stdin")}
	case f.hash != "":
		if err := hash.UnmarshalText([]byte(f.hash)); err != nil {
			return hash, "", usageError{err}
		}
		return hash, "", nil
	case f.file != "":
		text, err := readWhole(f.file)
		if err != nil {
			return hash, "", usageError{err}
		}
		secret = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	case f.stdin:
		if secret, err = p.readSecret(r.cmd, "client secret: ", true); err != nil {
			return hash, "", err
		}
	default:
		secret = tokens.NewSecret()
		return clients.HashSecret(secret), secret, nil
	}
	if err := strongSecret(secret); err != nil {
		return hash, "", err
	}
	return clients.HashSecret(secret), "", nil
}

// madeClient is the answer of create and rotate-secret: the one time that a secret is seen.
type madeClient struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret,omitempty"`
	SecretID     string   `json:"secret_id,omitempty"`
	Ended        []string `json:"ended_secrets,omitempty"`
	Confirmed    *bool    `json:"confirmed,omitempty"` // false: see the error
}

func (m madeClient) text() string {
	text := "client_id      " + m.ClientID + "\n"
	if m.ClientSecret != "" {
		text += "client_secret  " + m.ClientSecret + "\n"
	}
	if m.SecretID != "" {
		text += "secret_id      " + m.SecretID + "\n"
	}
	for _, id := range m.Ended {
		text += "ended          " + id + "\n"
	}
	return text
}

// show prints what was made. Where it could not be confirmed, or nobody knows whether it was made,
// the secret is shown all the same: it is in force, or will be, and cannot be shown again. The
// error says which. The trail is told of what was made.
func (m madeClient) show(r *clientRun, detail string, err error) error {
	if wasMade(err) {
		r.trail.tell(registryChange(m.ClientID, detail, err))
	}
	if err != nil && !errors.Is(err, clients.ErrNotConfirmed) && !errors.Is(err, clients.ErrOutcomeUnknown) {
		return err
	}
	if err != nil {
		m.Confirmed = new(false)
		if !errors.Is(err, clients.ErrNotConfirmed) {
			err = fmt.Errorf("it is not known whether this was done: \"grantor client secrets %s\" says whether the secret that is shown here is stored: %w", m.ClientID, err)
		}
	}
	return errors.Join(answer(r.cmd, r.asJSON, m, m.text()), err)
}

func (p Program) clientCreate(r *clientRun, _ []string) error {
	s := &clients.Stored{Registration: clients.Registration{ID: r.newID}}
	if err := r.edit.read(); err != nil {
		return err
	}
	r.edit.apply(r.cmd, &s.Registration)
	if err := needsKeys(&s.Registration, r.secret); err != nil {
		return err
	}
	if s.ID == "" {
		s.ID = clients.NewID()
	}
	made := madeClient{ClientID: s.ID}
	if s.NeedsSecret() {
		hash, secret, err := p.newSecret(r)
		if err != nil {
			return err
		}
		made.ClientSecret = secret
		s.Secrets = []clients.Secret{{Hash: hash, CreatedAt: time.Now().UTC().Truncate(time.Second)}}
	}
	err := made.show(r, audit.Created, r.manager.Create(r.ctx, s))
	if err == nil && s.Resource != "" && (s.Introspect == "" || s.Introspect == clients.SightOwn) {
		fmt.Fprintf(r.cmd.ErrOrStderr(), "warning: this client sees none of the tokens for %s: \"grantor client update %s --introspect audience\" lets it\n", printable.Text(s.Resource), s.ID)
	}
	return err
}

func (p Program) clientUpdate(r *clientRun, _ []string) error {
	if !r.edit.given(r.cmd) {
		return usageError{fmt.Errorf("%s: say what shall change; see --help", r.cmd.CommandPath())}
	}
	if err := r.edit.read(); err != nil {
		return err
	}
	_, err := r.manager.Update(r.ctx, r.id, func(s *clients.Stored) error {
		s.Stated = r.edit.apply(r.cmd, &s.Registration)
		return nil
	})
	return r.done(err, audit.Changed, "the client is changed; what it may no longer do, its live tokens can no longer do")
}

func (p Program) clientRotate(r *clientRun, _ []string) error {
	if r.now == (r.overlap > 0) {
		return usageError{errors.New("say --overlap 24h, or --now, which ends the old secret at once")}
	}
	if r.now {
		if err := p.sure(r.cmd, r.yes, "end the old secret at once"); err != nil {
			return err
		}
	}
	hash, secret, err := p.newSecret(r)
	if err != nil {
		return err
	}
	done, err := r.manager.RotateSecret(r.ctx, r.id, hash, r.overlap, r.force)
	made := madeClient{ClientID: r.id, ClientSecret: secret, SecretID: clients.Secret{Hash: hash}.ID()}
	if done == nil {
		return err
	}
	made.Ended = done.Ended
	return made.show(r, audit.SecretRotated, err)
}

// listedSecret is a secret in an answer: never its text.
type listedSecret struct {
	ID         string    `json:"id"`
	Credential string    `json:"credential"` // as the audit trail names it
	CreatedAt  time.Time `json:"created_at,omitzero"`
	LastUsed   time.Time `json:"last_used,omitzero"` // within an hour
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
}

func (p Program) clientSecrets(r *clientRun, _ []string) error {
	d, err := r.manager.Get(r.ctx, r.id)
	if err != nil {
		return err
	}
	list := []listedSecret{}
	text := newTable("SECRET", "CREATED", "LAST USED", "ENDS")
	for _, s := range d.Secrets {
		used, err := r.manager.Redis.LastUsed(r.ctx, r.id, s.Hash)
		if err != nil {
			return err
		}
		list = append(list, listedSecret{s.ID(), s.Credential(), s.CreatedAt, used, s.ExpiresAt})
		text.row(s.ID(), moment(s.CreatedAt, "not known"), moment(used, "never"), moment(s.ExpiresAt, "never"))
	}
	keys, err := r.manager.Redis.KeyUses(r.ctx, &d.Registration)
	for _, k := range keys {
		id := strings.TrimPrefix(k.Credential, "key:")
		list = append(list, listedSecret{ID: id, Credential: k.Credential, LastUsed: k.LastUsed})
		text.row(k.Credential, "not known", moment(k.LastUsed, "never"), "never")
	}
	return errors.Join(err, answer(r.cmd, r.asJSON, list, text.String()))
}

func moment(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func (p Program) clientRevokeSecret(r *clientRun, args []string) error {
	if err := p.sure(r.cmd, r.yes, "end this secret at once"); err != nil {
		return err
	}
	return r.done(r.manager.RevokeSecret(r.ctx, r.id, args[1]), audit.SecretRevoked, "the secret is gone")
}
