package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/tokens"
)

// clientEdit is what flags say of a client. Only flags that were given change anything.
type clientEdit struct {
	id, name, scope, defaultScope, method, resource, introspect string
	jwksFile, jwksURI, workloadIssuer, workloadSubject          string
	jwks                                                        *jwt.KeySet // what jwksFile holds
	grants, audience                                            []string
	access, refresh, most, retry                                time.Duration
}

func (e *clientEdit) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&e.name, "name", "", "what people call it")
	f.StringSliceVar(&e.grants, "grant-type", nil, "client_credentials, password, refresh_token; may be repeated")
	f.StringVar(&e.scope, "scope", "", "what it may ask for; \"orders:*\" allows by wildcard")
	f.StringVar(&e.defaultScope, "default-scope", "", "what it gets when it asks for nothing")
	f.StringVar(&e.method, "auth-method", "", "client_secret_basic, client_secret_post, private_key_jwt, none (a public client); absent: basic or post")
	f.StringVar(&e.jwksFile, "jwks", "", "with private_key_jwt: a file with the client's public keys (a JWK Set)")
	f.StringVar(&e.jwksURI, "jwks-uri", "", "with private_key_jwt: where the client publishes its keys (https)")
	f.StringVar(&e.workloadIssuer, "workload-issuer", "", "with private_key_jwt: the platform whose tokens prove the client, one of [[trusted_issuers]]")
	f.StringVar(&e.workloadSubject, "workload-subject", "", "with --workload-issuer: the sub of those tokens")
	f.StringSliceVar(&e.audience, "audience", nil, "aud of its tokens when no granted scope has a resource")
	f.StringVar(&e.resource, "resource", "", "the audience that it is, as a resource server")
	f.StringVar(&e.introspect, "introspect", "", "whose tokens it sees: own, audience, any")
	f.Var(lifeFlag{&e.access}, "access-ttl", "life of its access tokens")
	f.Var(lifeFlag{&e.refresh}, "refresh-ttl", "idle life of a log-in")
	f.Var(lifeFlag{&e.most}, "refresh-max-ttl", "absolute life of a log-in")
	f.Var(lifeFlag{&e.retry}, "retry-window", "how long a repeated refresh gets the same answer; 0s: never")
}

// apply writes the flags that were given into a registration, and returns the members that they name.
func (e *clientEdit) apply(c *cobra.Command, r *clients.Registration) (named []string) {
	members := map[string]string{"scope": "scope", "grant-type": "grant_types", "auth-method": "token_endpoint_auth_method"} // the limits of a dynamic client
	for name, set := range map[string]func(){
		"name":          func() { r.ClientName = e.name },
		"grant-type":    func() { r.GrantTypes = e.grants },
		"scope":         func() { r.Scope = e.scope },
		"default-scope": func() { r.DefaultScope = e.defaultScope },
		"auth-method":   func() { r.AuthMethod = clients.Method(e.method) },
		"jwks":          func() { r.JWKS, r.JWKSURI, r.Workload = e.jwks, "", nil },
		"jwks-uri":      func() { r.JWKS, r.JWKSURI, r.Workload = nil, e.jwksURI, nil },
		"workload-issuer": func() {
			r.JWKS, r.JWKSURI, r.Workload = nil, "", &clients.Workload{Issuer: e.workloadIssuer, Subject: e.workloadSubject}
		},
		"audience":        func() { r.Audience = e.audience },
		"resource":        func() { r.Resource = e.resource },
		"introspect":      func() { r.Introspect = clients.Sight(e.introspect) },
		"access-ttl":      func() { r.AccessTTL = clients.Duration(e.access) },
		"refresh-ttl":     func() { r.RefreshTTL = clients.Duration(e.refresh) },
		"refresh-max-ttl": func() { r.RefreshMaxTTL = clients.Duration(e.most) },
		"retry-window":    func() { r.RetryWindow = new(clients.Duration(e.retry)) },
	} {
		if c.Flags().Changed(name) {
			set()
			named = append(named, members[name])
		}
	}
	if c.Flags().Changed("auth-method") && r.AuthMethod == clients.MethodJWT {
		r.Secrets = nil // such a client has none
	}
	return named
}

// readKeys reads what flags name a file of, and says what a client that proves itself by JWTs needs.
func (e *clientEdit) readKeys() error {
	given := 0
	for _, text := range []string{e.jwksFile, e.jwksURI, e.workloadIssuer} {
		if text != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return usageError{errors.New("say one of --jwks, --jwks-uri and --workload-issuer")}
	case (e.workloadIssuer == "") != (e.workloadSubject == ""):
		return usageError{errors.New("--workload-issuer and --workload-subject go together")}
	case e.jwksFile == "":
		return nil
	}
	text, err := readWhole(e.jwksFile)
	if err == nil {
		e.jwks, err = jwt.ParseKeySet(text)
	}
	if err != nil {
		return usageError{fmt.Errorf("--jwks: %w", err)}
	}
	return nil
}

// needsKeys refuses a new client that could never prove itself, before anything is made for it.
func (e *clientEdit) needsKeys(r *clients.Registration, s secretFlags) error {
	switch {
	case r.AuthMethod != clients.MethodJWT:
		return nil
	case r.JWKS == nil && r.JWKSURI == "" && r.Workload == nil:
		return usageError{errors.New("private_key_jwt needs the client's public keys: --jwks FILE or --jwks-uri URL; or --workload-issuer and --workload-subject for tokens of a platform")}
	case s != secretFlags{}:
		return usageError{errors.New("a client that authenticates by private_key_jwt has no secret")}
	}
	return nil
}

// newSecret returns the hash of the secret that the flags name, and the secret itself where it was made here.
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
		hash, err = clients.ParseHash(f.hash)
		if err != nil {
			err = usageError{err}
		}
		return hash, "", err
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

// show prints what was made. Where it could not be confirmed, or nobody knows whether it was made, the secret is shown all the same: it
// is in force, or will be, and cannot be shown again. The error says which. The trail is told of
// what was made.
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
	s := &clients.Stored{Registration: clients.Registration{ClientID: r.edit.id}}
	if err := r.edit.readKeys(); err != nil {
		return err
	}
	r.edit.apply(r.cmd, &s.Registration)
	if err := r.edit.needsKeys(&s.Registration, r.secret); err != nil {
		return err
	}
	if s.ClientID == "" {
		s.ClientID = clients.NewID()
	}
	made := madeClient{ClientID: s.ClientID}
	if s.NeedsSecret() {
		hash, secret, err := p.newSecret(r)
		if err != nil {
			return err
		}
		made.ClientSecret = secret
		s.Secrets = []clients.SecretEntry{{Hash: hash, CreatedAt: time.Now().UTC().Truncate(time.Second)}}
	}
	err := made.show(r, audit.Created, r.manager.Create(r.ctx, s))
	if err == nil && s.Resource != "" && (s.Introspect == "" || s.Introspect == clients.SightOwn) {
		fmt.Fprintf(r.cmd.ErrOrStderr(), "warning: this client sees none of the tokens for %s: \"grantor client update %s --introspect audience\" lets it\n", printable.Text(s.Resource), s.ClientID)
	}
	return err
}

func (p Program) clientUpdate(r *clientRun, _ []string) error {
	if !r.changed() {
		return usageError{fmt.Errorf("%s: say what shall change; see --help", r.cmd.CommandPath())}
	}
	if err := r.edit.readKeys(); err != nil {
		return err
	}
	_, err := r.manager.Update(r.ctx, r.id, func(s *clients.Stored) error {
		s.Stated = r.edit.apply(r.cmd, &s.Registration)
		return nil
	})
	return r.done(err, audit.Changed, "the client is changed; what it may no longer do, its live tokens can no longer do")
}

func (r *clientRun) changed() bool {
	before := clients.Registration{}
	r.edit.apply(r.cmd, &before)
	a, _ := json.Marshal(before)
	b, _ := json.Marshal(clients.Registration{})
	return !bytes.Equal(a, b) || r.cmd.Flags().NFlag() > 0 && anyChanged(r.cmd)
}

// anyChanged says whether a flag of the client itself was given, even with an empty value.
func anyChanged(c *cobra.Command) bool {
	for _, name := range []string{"name", "grant-type", "scope", "default-scope", "auth-method", "jwks", "jwks-uri", "workload-issuer", "workload-subject", "audience", "resource", "introspect", "access-ttl", "refresh-ttl", "refresh-max-ttl", "retry-window"} {
		if c.Flags().Changed(name) {
			return true
		}
	}
	return false
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
	made := madeClient{ClientID: r.id, ClientSecret: secret, SecretID: clients.SecretEntry{Hash: hash}.ID()}
	if done == nil {
		return err
	}
	made.Ended = done.Ended
	return made.show(r, audit.SecretRotated, err)
}

// shownSecret is a secret in an answer: never its text.
type shownSecret struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"` // within an hour
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

func (p Program) clientSecrets(r *clientRun, _ []string) error {
	d, err := r.manager.Get(r.ctx, r.id)
	if err != nil {
		return err
	}
	list := []shownSecret{}
	text := newTable("SECRET", "CREATED", "LAST USED", "ENDS")
	for _, s := range d.Secrets {
		used, err := r.manager.Redis.LastUsed(r.ctx, r.id, s.Hash)
		if err != nil {
			return err
		}
		list = append(list, shownSecret{s.ID(), s.CreatedAt, used, s.ExpiresAt})
		text.row(s.ID(), moment(s.CreatedAt, "not known"), moment(used, "never"), moment(s.ExpiresAt, "never"))
	}
	return answer(r.cmd, r.asJSON, list, text.String())
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

// exported is what export writes and apply reads.
type exported struct {
	Clients []clients.Registration `json:"clients"`
}

func (p Program) clientExport(r *clientRun, _ []string) error {
	out := exported{Clients: []clients.Registration{}}
	if err := r.manager.Redis.All(r.ctx, func(s *clients.Stored) error {
		out.Clients = append(out.Clients, s.Registration)
		return nil
	}); err != nil {
		return err
	}
	return answer(r.cmd, true, out, "")
}

// readWhole reads a file without the mark that some editors write before its text.
func readWhole(name string) ([]byte, error) {
	text, err := os.ReadFile(name) // #nosec G304 -- the operator's
	if err != nil {
		return nil, err
	}
	if text, err = config.WithoutBOM(text); err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return text, nil
}

// clientApply makes the registry hold what a file says. Clients that the file does not name stay as they are.
func (p Program) clientApply(r *clientRun, _ []string) error {
	var in io.Reader = p.Stdin
	switch r.file {
	case "":
		return usageError{errors.New("say -f FILE, or -f - for standard input")}
	case "-":
	default:
		text, err := readWhole(r.file)
		if err != nil {
			return usageError{err}
		}
		in = bytes.NewReader(text)
	}
	list, err := clients.ReadRegistrations(in)
	if err != nil {
		return usageError{err}
	}
	for i := range list {
		for _, passed := range list[i].JWKS.PassedOver() {
			fmt.Fprintf(p.Stderr, "warning: clients[%d] %q: jwks: passed over: %s\n", i, list[i].ClientID, passed)
		}
	}
	var wrong error
	for i := range list { // all are looked at before one is written
		if err := r.manager.Check(&list[i]); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("clients[%d] %q: %w", i, list[i].ClientID, err))
		}
	}
	if wrong != nil {
		return usageError{wrong}
	}
	result := map[string][]string{"created": {}, "changed": {}, "unchanged": {}}
	var unconfirmed error
	for i := range list {
		what, err := r.put(&list[i])
		if detail, told := map[string]string{"created": audit.Created, "changed": audit.Changed}[what]; told && wasMade(err) {
			r.trail.queue(registryChange(list[i].ClientID, detail, err))
		}
		if errors.Is(err, clients.ErrNotConfirmed) {
			unconfirmed, err = err, nil
		}
		if err != nil {
			return fmt.Errorf("clients[%d] %q: %w", i, list[i].ClientID, err)
		}
		result[what] = append(result[what], list[i].ClientID)
	}
	r.trail.flush()
	text := fmt.Sprintf("%d created, %d changed, %d unchanged\n", len(result["created"]), len(result["changed"]), len(result["unchanged"]))
	return errors.Join(answer(r.cmd, r.asJSON, result, text), unconfirmed)
}

// put creates or changes one client, and says which.
func (r *clientRun) put(want *clients.Registration) (string, error) {
	err := r.manager.Create(r.ctx, &clients.Stored{Registration: *want})
	if err == nil || errors.Is(err, clients.ErrNotConfirmed) {
		return "created", err
	}
	if !errors.Is(err, clients.ErrExists) {
		return "", err
	}
	what := "unchanged"
	_, err = r.manager.Update(r.ctx, want.ClientID, func(s *clients.Stored) error {
		before, err1 := json.Marshal(s.Registration)
		after, err2 := json.Marshal(want)
		if what = "unchanged"; !bytes.Equal(before, after) {
			what = "changed"
			if s.Disabled != want.Disabled {
				s.Epoch = clients.NewEpoch()
			}
		}
		s.Registration = *want
		s.Stated = []string{"scope", "grant_types", "token_endpoint_auth_method"}
		return errors.Join(err1, err2)
	})
	return what, err
}
