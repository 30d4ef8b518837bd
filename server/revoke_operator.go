package server

import (
	"context"
	"errors"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// Revocation is what an operator ended.
type Revocation struct {
	Kind        string `json:"kind"`
	Ours        bool   `json:"ours"`  // false: no token of this server; nothing was done
	Ended       bool   `json:"ended"` // false: there was nothing left to end
	ClientID    string `json:"client_id,omitempty"`
	Session     string `json:"session,omitempty"` // of a refresh token: it ended with all its tokens
	SubjectHash string `json:"subject_hash,omitempty"`
	JTI         string `json:"jti,omitempty"`
}

// RevokeAsOperator ends a token of any client, or with a refresh token its session, with the
// guarantees of the revocation endpoint (RFC 7009 §2): verifiers that follow are told before it
// returns, and a nil error means that the end is as durable as configured. The revocation is not
// nil where something is known of the text, also with an error: what has Ended has ended.
func (s *Server) RevokeAsOperator(ctx context.Context, text string) (*Revocation, error) {
	v := &Revocation{Kind: explainForm(text).Kind}
	t, err := s.read(ctx, text)
	if errors.Is(err, tokens.ErrNotOurs) {
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	if v.Ours = true; v.Kind == KindUnknown {
		v.Kind = KindAccess // a JWT
	}
	if t.Kind == tokens.Refresh {
		v.Session = t.Session.String()
	} else {
		v.JTI = t.Name()
	}
	if t.Kind == tokens.UserAccess || t.Kind == tokens.Refresh {
		v.SubjectHash = t.Tag.String()
	}
	v.ClientID, v.Ended, err = s.endAny(ctx, t)
	if err == nil && !v.Ended {
		err = s.endUnrecordedOfAny(ctx, t, text)
	}
	return v, err
}

// endAny ends a token or session of any client, and says whose it was.
func (s *Server) endAny(ctx context.Context, t tokens.Token) (clientID string, ended bool, err error) {
	if t.Kind == tokens.Refresh {
		if f, err := s.cfg.Store.Session(ctx, t); err == nil { // for the trail alone
			clientID = f.ClientID
		}
		ended, err = s.cfg.Store.EndSession(ctx, t.Tag, t.Session)
		return clientID, ended, err
	}
	r, err := s.cfg.Store.Load(ctx, t)
	if errors.Is(err, tokens.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	ended, err = s.cfg.Store.Revoke(ctx, t, r.ClientID)
	return r.ClientID, ended, err
}

// endUnrecordedOfAny is endUnrecorded for an operator: the name of what is gone from the store goes
// to the revocation feed, for verifiers that ask nobody about JWTs, and seldom about API keys.
func (s *Server) endUnrecordedOfAny(ctx context.Context, t tokens.Token, text string) error {
	var name string
	switch {
	case t.Kind == tokens.ClientKey: // verifiers may remember it for longer than any other token
		name = t.Name()
	case s.cfg.Keys == nil:
		return nil
	case t.Kind == tokens.Refresh:
		name = feed.Session(t.Session)
	case text[:2] != "ey":
		return nil
	default:
		name = t.Name()
	}
	return s.cfg.Store.Feed().Append(ctx, feed.End{Names: []string{name}})
}

// Event is the event of the trail for what ended.
func (v *Revocation) Event(unconfirmed bool) audit.Event {
	e := audit.Change(audit.TokenRevoked, v.ClientID, "", unconfirmed)
	e.Session, e.Subject, e.Token = v.Session, v.SubjectHash, v.JTI
	return e
}
