package cli

import (
	"errors"
	"time"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/tokens"
)

// session is a family in an answer.
type session struct {
	Session  string    `json:"session"`
	ClientID string    `json:"client_id"`
	Device   string    `json:"device_name,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
	Address  string    `json:"address"`
	Scope    string    `json:"scope"`
}

func (p Program) userSessions(u *userRun) error {
	id, err := u.subject()
	if err != nil {
		return err
	}
	found, err := u.tokens.Sessions(u.ctx, u.codec.Tag(id))
	if err != nil {
		return err
	}
	list := []session{}
	text := newTable("SESSION", "CLIENT", "DEVICE", "CREATED", "LAST USED", "ADDRESS")
	for _, f := range found {
		list = append(list, session{f.ID.String(), f.ClientID, f.Device, f.Created.UTC(), f.LastUsed.UTC(), f.Expires.UTC(), f.Address, f.Scope})
		text.row(f.ID.String(), f.ClientID, f.Device, f.Created.UTC().Format(time.DateTime), f.LastUsed.UTC().Format(time.DateTime), f.Address)
	}
	return answer(u.cmd, u.asJSON, list, text.String())
}

func (p Program) userLogout(u *userRun) error {
	if u.all == (u.session != "") {
		return usageError{errors.New("say --session ID or --all")}
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	if u.all {
		if err := p.sure(u.cmd, u.yes, "end every session of the user"); err != nil {
			return err
		}
		return u.done(id, u.endAll(id), audit.SessionsEnded, "every session has ended")
	}
	family, ok := tokens.ParseSessionID(u.session)
	if !ok {
		return usageError{errors.New("this is no session id; \"grantor user sessions\" lists them")}
	}
	ended, err := u.tokens.EndSession(u.ctx, u.codec.Tag(id), family)
	switch {
	case !ended && err == nil:
		return errors.New("the user has no such session")
	case !ended: // by an earlier command, which was told of
		return settled(u.cmd, u.asJSON, err, "the session has ended")
	}
	return u.done(id, err, audit.SessionEnded, "the session has ended")
}
