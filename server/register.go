package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// registrationAnswer is the answer (RFC 7591 §3.2.1; RFC 7592 §3): of the registration client_id
// and ownMembers.
type registrationAnswer struct {
	clients.Registration
	ClientSecret string `json:"client_secret,omitempty"`
	IssuedAt     int64  `json:"client_id_issued_at,omitempty"`
	SecretEnds   *int64 `json:"client_secret_expires_at,omitempty"` // 0: never; there whenever a secret is
	Token        string `json:"registration_access_token"`
	URI          string `json:"registration_client_uri"`
}

func (r *registrationAnswer) showsSecret() bool { return r.ClientSecret != "" }

// mayRegister bounds how many clients a registrar registers in an hour, on all nodes together.
func (s *Server) mayRegister(x *exchange, registrar string) error {
	if s.cfg.RegistrationRate == nil {
		return nil
	}
	wait, err := s.cfg.RegistrationRate(x, registrar)
	if err != nil || wait == 0 {
		return err
	}
	return &Error{Code: codeInvalidRequest, Status: http.StatusTooManyRequests, RetryAfter: wait,
		Reason: "registration_rate",
		Description: "this client has registered as many clients in this hour as [limits] " +
			"registrations_per_hour allows; wait as long as Retry-After says"}
}

// within refuses scopes beyond those of the client whose token opened the registration.
func (s *Server) within(limit scopes.Rules, scope string) error {
	set, err := scopes.Parse(scope)
	if err != nil {
		return refusal(codeInvalidMetadata, "scope: %s", err)
	}
	for t := range set.All() {
		if !s.cfg.Catalogue.Has(t) {
			return refusal(codeInvalidMetadata, "scope: one of them does not exist here")
		}
		for implied := range s.cfg.Catalogue.Expand(scopes.MustParse(t)).All() {
			if !s.cfg.Catalogue.Permits(limit, implied) {
				return refusal(codeInvalidMetadata,
					"scope: the client that registers others can only give what it may itself ask for")
			}
		}
	}
	return nil
}

// register makes a client by RFC 7591 §3. Step before it: the guard has demanded grantor:clients.
func (s *Server) register(x *exchange) error {
	m, err := readMetadata(x.body, false)
	if err != nil {
		return err
	}
	base, err := s.adminURL(x.gin.Request)
	if err != nil {
		return err
	}
	opener, err := s.cfg.Clients.Get(x, middleware.TokenFrom(x.gin.Request.Context()).ClientID)
	if err != nil {
		return err
	}
	if err := s.within(opener.Scope, m.Scope); err != nil {
		return err
	}
	if err := s.mayRegister(x, opener.ID); err != nil {
		return err
	}
	token := tokens.NewRegistrationToken()
	st := &clients.Stored{Dynamic: true, Registrar: opener.ID, MaxOfRegistrar: s.cfg.Registrations,
		Token: clients.HashSecret(token)}
	m.into(&st.Registration)
	st.ID = clients.NewID()
	secret := secretFor(&st.Registration)
	s.warnOfUnusedKeys(x, st.ID, st.JWKS)
	err = s.cfg.Manager.Create(x, st)
	answer := describe(base, &st.Registration, st.CreatedAt, token).with(secret)
	c := change{audit.ClientChanged, st.ID, "registered", http.StatusCreated, answer}
	return s.changed(x, c, err)
}

// describe writes the answer, below the URL that base gives.
func describe(base string, r *clients.Registration, created time.Time, token string) *registrationAnswer {
	answer := &registrationAnswer{IssuedAt: created.Unix(), Token: token,
		URI: base + pathRegister + "/" + url.PathEscape(r.ID)}
	answer.Take(r, append(ownMembers(), "client_id"))
	return answer
}

// with shows a fresh secret; "": there is none (RFC 7591 §3.2.1).
func (r *registrationAnswer) with(secret string) *registrationAnswer {
	if secret != "" {
		r.ClientSecret, r.SecretEnds = secret, new(int64(0))
	}
	return r
}

// secretFor gives a registration the secret that its method needs, and returns it; "": no new one.
// A client with keys or certificates has no secret, and loses those that it had.
func secretFor(r *clients.Registration) string {
	if !r.Method.HasSecret() {
		r.Secrets = nil
	}
	if !r.NeedsSecret() {
		return ""
	}
	secret := tokens.NewSecret()
	r.Secrets = freshSecret(secret)
	return secret
}

// errRegistrationToken refuses a registration access token, with its challenge (RFC 6750 §3).
func errRegistrationToken(x *exchange) *Error {
	x.gin.Header("WWW-Authenticate", `Bearer realm="grantor", error="invalid_token"`)
	return &Error{Code: codeInvalidToken, Status: http.StatusUnauthorized, Reason: "registration_token",
		Description: "the registration access token is not that of this client"}
}

// registrationToken finds the client of a registration access token (RFC 7592 §2.1). Unknown and
// deleted clients, another client's token and a wrong token are answered alike.
func (s *Server) registrationToken(x *exchange) error {
	refused := errRegistrationToken(x)
	values := x.gin.Request.Header.Values("Authorization")
	if len(values) != 1 {
		return refused
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		refused.Description = "send the registration access token as Authorization: Bearer, one " +
			"space, the token"
		return refused
	}
	st, err := s.cfg.Manager.Redis.Load(x, x.gin.Param("id"))
	if err != nil && !errors.Is(err, clients.ErrUnknown) {
		return err
	}
	presented, stored := clients.HashSecret(token), clients.SecretHash{}
	if st != nil {
		stored = st.Token
	}
	if !presented.Equal(stored) || st == nil || st.Disabled {
		return refused
	}
	x.gin.Writer.Header().Del("WWW-Authenticate")
	x.stored, x.registrationToken = st, token
	return nil
}

// readRegistration answers RFC 7592 §2.1.
func (s *Server) readRegistration(x *exchange) error {
	base, err := s.adminURL(x.gin.Request)
	if err != nil {
		return err
	}
	writeJSON(x, http.StatusOK, describe(base, &x.stored.Registration, x.stored.CreatedAt, x.registrationToken))
	return nil
}

// replaceRegistration answers RFC 7592 §2.2: what the body leaves out goes. A client that goes from
// keys to a secret is shown the new secret.
func (s *Server) replaceRegistration(x *exchange) error {
	m, err := readMetadata(x.body, true)
	if err != nil {
		return err
	}
	base, err := s.adminURL(x.gin.Request)
	if err != nil {
		return err
	}
	if m.ID != x.stored.ID {
		return refusal(codeInvalidRequest, "client_id is required and must be this client's (RFC 7592 §2.2)")
	}
	isThis := func(e clients.Secret) bool { return e.Hash == clients.HashSecret(m.ClientSecret) }
	if m.ClientSecret != "" && !slices.ContainsFunc(x.stored.Secrets, isThis) {
		return refusal(codeInvalidRequest, "client_secret must be the one that was issued (RFC 7592 §2.2)")
	}
	s.warnOfUnusedKeys(x, x.stored.ID, m.JWKS)
	secret := ""
	d, err := s.cfg.Manager.ReplaceOwn(x, x.stored.ID, x.stored.Token, func(r *clients.Registration) {
		m.into(r)
		secret = secretFor(r)
	})
	if errors.Is(err, clients.ErrUnknown) {
		return errRegistrationToken(x) // deleted, disabled or given another token meanwhile
	}
	c := change{event: audit.ClientChanged, client: x.stored.ID, detail: "replaced by its own token",
		status: http.StatusOK}
	now := &m.Registration
	if d != nil {
		now = &d.Registration
	}
	c.answer = describe(base, now, x.stored.CreatedAt, x.registrationToken).with(secret)
	return s.changed(x, c, err)
}

// deleteRegistration answers RFC 7592 §2.3: client, tokens and registration access token end.
func (s *Server) deleteRegistration(x *exchange) error {
	err := s.cfg.Manager.Delete(x, x.stored.ID)
	if errors.Is(err, clients.ErrUnknown) && !errors.Is(err, clients.ErrNotConfirmed) {
		err = nil // somebody else was faster
	}
	c := change{event: audit.ClientChanged, client: x.stored.ID, detail: "deleted by its own token"}
	return s.changed(x, c, err)
}
