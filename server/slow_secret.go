package server

import (
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/lockout"
)

// proveSlowly proves a client whose secret only a slow hash can tell. It is treated like a login: a
// check is reserved before anything is hashed, and failures count over all addresses, except for an
// address from which the client has proved itself before.
func (s *Server) proveSlowly(x *exchange, c *clients.Client, secret string) (clients.Proof, error) {
	wrong := &clients.AuthError{ID: c.ID, Reason: clients.ReasonWrongSecret}
	if s.cfg.ClientFailures != nil && s.clientBlocked(x, lockout.ClientSubject(c.ID, x.network())) > 0 {
		return clients.Proof{}, wrong // whose answer is 429
	}
	check, err := s.reserveSecret(x, c)
	if err != nil {
		return clients.Proof{}, err
	}
	proof, err := clients.ProveSlowly(x, c, secret, s.now(), s.cfg.SecretSlots.MatchSecret)
	if err != nil {
		return proof, endSecret(x, check, err)
	}
	if check != nil {
		if err := check.Succeeded(x); err != nil {
			return clients.Proof{}, err
		}
	}
	s.strengthen(x, proof, secret)
	return proof, nil
}

// reserveSecret reserves the check of a secret; nil: there is no limit.
func (s *Server) reserveSecret(x *exchange, c *clients.Client) (*lockout.Reservation, error) {
	if s.cfg.SecretLockout == nil {
		return nil, nil
	}
	check, _, _, err := s.cfg.SecretLockout.Begin(x, x.network())
	if err != nil {
		return nil, err
	}
	verdict, left, err := check.ForUser(x, lockout.Target{Key: lockout.ClientKey(c.ID), Password: c.SlowSecrets(), Subject: ""})
	switch {
	case err != nil:
		return nil, err
	case verdict == lockout.Allowed:
		return check, nil
	case verdict == lockout.Underway:
		return nil, unavailable(nil, "client_secrets_underway",
			"too many secrets of this client are being checked at this moment; try again")
	}
	return nil, &Error{Code: codeInvalidClient, Status: http.StatusTooManyRequests, RetryAfter: left,
		Reason:      "client_secret_failures",
		Description: "client authentication failed too often; wait as long as Retry-After says"}
}

// endSecret ends a check that proved nothing. A wrong secret that cannot be counted is not answered
// as wrong: it would have been tried for nothing.
func endSecret(x *exchange, check *lockout.Reservation, err error) error {
	if check == nil {
		return err
	}
	if _, wrong := errors.AsType[*clients.AuthError](err); !wrong {
		return errors.Join(err, check.Abandoned(x))
	}
	if failed := check.Failed(x); failed != nil {
		return failed
	}
	return err
}

// strengthen has the next use of a secret cost no slow hash on any node. What cannot be stored is
// tried again at the next node's first use.
func (s *Server) strengthen(x *exchange, proof clients.Proof, secret string) {
	if s.cfg.Manager == nil || !proof.Slow.Slow() {
		return
	}
	if err := s.cfg.Manager.Strengthen(x, proof.Client.ID, proof.Slow, secret); err != nil {
		s.log.WarnContext(x, "the SHA-256 of a client's secret could not be stored", "request_id", x.id,
			"client_id", proof.Client.ID, "error", err.Error())
	}
}
