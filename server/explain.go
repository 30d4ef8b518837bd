package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// Kinds of a text that somebody wants explained.
const (
	KindAccess       = "access_token"
	KindRefresh      = "refresh_token"
	KindAPIKey       = "api_key"
	KindSecret       = "client_secret"
	KindRegistration = "registration_access_token"
	KindUnknown      = "unknown"
)

// Explanation says what a text is and why it is active or not, for an operator. Nothing of the text
// is in it.
type Explanation struct {
	Kind     string `json:"kind"`
	Format   string `json:"format,omitempty"`   // opaque, jwt
	Checksum string `json:"checksum,omitempty"` // "right" or "wrong", of texts that have one
	Ours     *bool  `json:"ours,omitempty"`     // this server made it, by MAC or signature; absent: nobody can tell
	Active   bool   `json:"active"`
	Reason   Reason `json:"reason,omitempty"` // why it is not active, as log and metrics name it
	Meaning  string `json:"meaning,omitempty"`

	ClientID    string          `json:"client_id,omitempty"`
	Sub         string          `json:"sub,omitempty"`
	SubType     string          `json:"sub_type,omitempty"`     // "user", "client", "external"
	SubjectHash string          `json:"subject_hash,omitempty"` // of a user, as the audit trail has it
	Username    string          `json:"username,omitempty"`
	Session     string          `json:"session,omitempty"`
	Scope       string          `json:"scope,omitempty"`
	Audience    []string        `json:"aud,omitempty"`
	JTI         string          `json:"jti,omitempty"`
	Bound       *Bound          `json:"cnf,omitempty"` // what it is bound to; absent: nothing, or nobody can tell
	From        []ExchangedFrom `json:"exchanged_from,omitempty"`
	Actors      []string        `json:"actors,omitempty"` // of an exchanged token: who acts, the last one first
	IssuedAt    *time.Time      `json:"issued,omitempty"`
	ExpiresAt   *time.Time      `json:"ends,omitempty"` // absent: it has no end, or nobody can tell
}

// ExchangedFrom is a token that an exchanged one came from.
type ExchangedFrom struct {
	JTI      string `json:"jti"`
	ClientID string `json:"client_id"`
}

// Bound is what a token is bound to (RFC 7800).
type Bound struct {
	KeyThumbprint         string `json:"jkt,omitempty"`      // RFC 9449 §6.1
	CertificateThumbprint string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
}

func (e *Explanation) bound(c tokens.Confirmation) {
	if !c.IsZero() {
		e.Bound = &Bound{c.JKT(), c.X5T()}
	}
}

// Explain says what a text is. caller is the client that introspects it; "": nobody's sight is
// considered. It returns clients.ErrUnknown where caller is no client; other errors mean that the
// store could not tell.
func (s *Server) Explain(ctx context.Context, text, caller string) (*Explanation, error) {
	e := explainForm(text)
	if e.Kind == KindSecret || e.Kind == KindRegistration {
		return e.because(explainNoToken), nil
	}
	var by *clients.Client
	if caller != "" {
		var err error
		if by, err = s.cfg.Clients.Get(ctx, caller); err != nil {
			return nil, err
		}
	}
	p, err := s.identify(ctx, text)
	if errors.Is(err, tokens.ErrNotOurs) {
		return e.because(inactiveNotOurs).mine(e.Kind == KindUnknown && e.Format == "", false), nil
	}
	if err != nil {
		return nil, err
	}
	if p.jwt != "" {
		if err := s.explainJWT(e, p.jwt); err != nil || e.Reason != "" {
			return e, err
		}
	}
	e.mine(false, true).named(p.token)
	if p.token.Kind == tokens.Refresh {
		return e, s.explainRefresh(ctx, e, p.token, by)
	}
	return e, s.explainAccess(ctx, e, p, by)
}

// explainForm says what can be seen without any key.
func explainForm(text string) *Explanation {
	e := &Explanation{Kind: KindUnknown}
	prefix, intact := tokens.PrefixOf(text)
	if prefix == "" {
		if len(text) > 2 && text[:2] == "ey" {
			e.Format = clients.FormatJWT
		}
		if tokens.IsForeignKey(text) {
			e.Kind = KindAPIKey
		}
		return e
	}
	e.Kind = map[string]string{tokens.PrefixAccess: KindAccess, tokens.PrefixRefresh: KindRefresh, tokens.PrefixAPIKey: KindAPIKey,
		tokens.PrefixSecret: KindSecret, tokens.PrefixRegistration: KindRegistration}[prefix]
	e.Checksum = map[bool]string{true: "right", false: "wrong"}[intact]
	if e.Kind == KindAccess {
		e.Format = clients.FormatOpaque
	}
	return e
}

// because notes why the text is not active; "": it is.
func (e *Explanation) because(r inactiveReason) *Explanation {
	e.Active, e.Reason, e.Meaning = r == "", Reason(r), meaningOf(r)
	return e
}

// mine notes whether this server made the text; nobody can tell of a text that has no form of ours.
func (e *Explanation) mine(untold, ours bool) *Explanation {
	if !untold {
		e.Ours = &ours
	}
	return e
}

// named notes what the text itself says, by the keys of this server.
func (e *Explanation) named(t tokens.Token) {
	e.SubType = "client"
	if t.Kind == tokens.UserAccess || t.Kind == tokens.Refresh {
		e.SubType, e.Session, e.SubjectHash = "user", t.Session.String(), t.Tag.String()
	}
	if t.Kind != tokens.Refresh {
		e.JTI = t.Name()
	}
}

// explainJWT verifies the signature, and notes the claims.
func (s *Server) explainJWT(e *Explanation, text string) error {
	claims, err := s.cfg.Keys.Verify(text, accessTypes()...)
	switch err = notOurs(err); {
	case errors.Is(err, tokens.ErrNotOurs):
		e.because(inactiveNotOurs).mine(false, false)
		return nil
	case err != nil:
		return err
	}
	var c struct {
		ClientID string   `json:"client_id"`
		Sub      string   `json:"sub"`
		Scope    string   `json:"scope"`
		Audience audience `json:"aud"`
		IssuedAt int64    `json:"iat"`
		Exp      int64    `json:"exp"`
	}
	if err := json.Unmarshal(claims, &c); err != nil {
		return err
	}
	e.Kind, e.Format = KindAccess, clients.FormatJWT
	e.ClientID, e.Sub, e.Scope, e.Audience = c.ClientID, c.Sub, c.Scope, c.Audience
	e.lasts(time.Unix(c.IssuedAt, 0), time.Unix(c.Exp, 0))
	return nil
}

// audience is a claim aud: one text or a list (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(a))
	}
	*a = make(audience, 1)
	return json.Unmarshal(text, &(*a)[0])
}

// lasts notes from when to when; a zero time is not known.
func (e *Explanation) lasts(issued, ends time.Time) {
	for at, to := range map[*time.Time]**time.Time{&issued: &e.IssuedAt, &ends: &e.ExpiresAt} {
		if !at.IsZero() {
			*to = new(at.UTC())
		}
	}
}

// explainAccess notes what the store has of an access token, and why it is not active.
func (s *Server) explainAccess(ctx context.Context, e *Explanation, p presented, by *clients.Client) error {
	r, err := s.cfg.Store.Load(ctx, p.token)
	if err == nil && s.prove(p, r) == nil {
		e.ClientID, e.Scope, e.Audience, e.Username = r.ClientID, r.Scope, r.Audience, r.Username
		e.Sub, e.SubType = r.Sub()
		e.Actors = actorsOf(r)
		if r.Exchange != nil {
			for i, from := range r.Exchange.Parents {
				e.From = append(e.From, ExchangedFrom{s.codec.NameOf(from, p.token), r.Exchange.Chain[i].ClientID})
			}
		}
		e.lasts(r.IssuedAt, r.ExpiresAt())
		e.bound(r.Confirmation)
	} else if p.token.Kind == tokens.UserAccess {
		s.explainSession(ctx, e, p.token)
	}
	found, err := s.lookUp(ctx, p, nil)
	if r, ok := errors.AsType[inactiveReason](err); ok {
		if r == inactiveRevoked { // the signature was verified above
			r = explainRevoked
		}
		e.because(r)
		return nil
	}
	if err != nil {
		return err
	}
	e.Scope = found.record.Scope // what still holds
	if e.because(""); by != nil {
		e.because(whyHidden(by, found.record))
	}
	return nil
}

// explainSession notes what a session that still stands says of one of its tokens.
func (s *Server) explainSession(ctx context.Context, e *Explanation, t tokens.Token) *tokens.Session {
	f, err := s.cfg.Store.Session(ctx, t)
	if err != nil {
		return nil
	}
	e.ClientID, e.Sub, e.Username = f.ClientID, f.Subject, f.Username
	return f
}

// explainRefresh notes what the store has of a refresh token, and why it cannot be used.
func (s *Server) explainRefresh(ctx context.Context, e *Explanation, t tokens.Token, by *clients.Client) error {
	f, gone := s.cfg.Store.Session(ctx, t)
	if gone != nil && !errors.Is(gone, tokens.ErrNotFound) {
		return gone
	}
	if gone != nil {
		e.because(s.whyNotRefreshed(nil, t, nil, gone))
		return nil
	}
	e.ClientID, e.Sub, e.Username, e.Scope, e.Audience = f.ClientID, f.Subject, f.Username, f.Scope, f.Audience
	e.bound(f.Confirmation)
	c, err := s.cfg.Clients.Get(ctx, f.ClientID)
	switch {
	case errors.Is(err, clients.ErrUnknown):
		e.because(inactiveClient)
		return nil
	case err != nil:
		return err
	}
	e.lasts(f.Created, s.endOf(f, c))
	switch {
	case c.Disabled:
		e.because(inactiveDisabled)
	case by != nil && by.ID != f.ClientID:
		e.because(inactiveOthers)
	default:
		e.because(s.whyNotRefreshed(f, t, c, nil))
	}
	return nil
}
