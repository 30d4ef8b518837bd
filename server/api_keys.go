package server

import (
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// whyWithheld is the reason why a caller does not learn that an API key is active which is allowed
// from some networks alone; "": it does. Who asks must hold the networks against the request, since
// only the caller sees from where the key was sent. So it has to say that it does: a caller that
// does not know of the rule would let the key pass from everywhere.
func whyWithheld(x *exchange, r *tokens.Record) inactiveReason {
	if len(r.Networks) == 0 || x.form.Get("allowed_networks") == "true" {
		return ""
	}
	return inactiveNetworks
}

// noteUse notes that an API was sent a key. An operator who has a key explained does not use it,
// nor does a caller that may not see it.
func (s *Server) noteUse(found activeToken) {
	if found.token.Kind == tokens.ClientKey {
		s.cfg.KeyUses.Note(found.token.ID(), s.now())
	}
}

// claimKey gives a key the custom claims that its client has now: a key lives for too long to carry
// those of the day when it was made.
func (s *Server) claimKey(r *tokens.Record, c *clients.Client) (err error) {
	if !c.Claims.IsZero() {
		r.Claims, err = s.released(c.Claims, r.Scope)
	}
	return err
}

// unixOrNone is a time in an answer; 0: none.
func unixOrNone(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
