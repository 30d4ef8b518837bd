package audit

// What a change is called in the detail of its event, by whatever way it was asked for. Of a user,
// the keyed hash of the id follows.
const (
	Created        = "created"
	Changed        = "changed"
	Deleted        = "deleted"
	Disabled       = "disabled"
	Enabled        = "enabled"
	Unlocked       = "unlocked"
	TokensRevoked  = "tokens revoked"
	SecretRotated  = "secret rotated"
	Imported       = "imported"
	ImportReplaced = "replaced by an import"
	SecretRevoked  = "secret revoked"
	SessionEnded   = "session ended"
	SessionsEnded  = "every session ended"
)

// ActorUser is the actor of what a user did with their own token.
const ActorUser = "user"

// NotConfirmed is the reason of a change that was made and that too few replicas have confirmed.
const NotConfirmed = "not_confirmed"

// Change returns the event of a change that was made. client is "" where it is about no client.
func Change(event, client, detail string, unconfirmed bool) Event {
	e := Event{Event: event, Client: client, Detail: detail}
	if unconfirmed {
		e.Reason = NotConfirmed
	}
	return e
}

// RotationAsked is the detail of a rotation of signing keys that was asked for. Which keys sign,
// and from when, the node that leads tells.
func RotationAsked(compromised bool) string {
	if compromised {
		return "asked for: the present keys are withdrawn"
	}
	return "asked for"
}
