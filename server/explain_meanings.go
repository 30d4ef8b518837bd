package server

// Reasons that only an explanation has.
const (
	explainNoToken inactiveReason = "not_a_token" // a secret
	explainRevoked inactiveReason = "revoked"     // a JWT with a good signature, before its end, without a record
)

// meaningOf says in a sentence what a reason means.
func meaningOf(r inactiveReason) string {
	switch r {
	case inactiveNotOurs:
		return "this server did not make the text, or its signing key is gone, or somebody changed or cut it"
	case inactiveExpired:
		return "its end has passed"
	case inactiveRecordGone:
		return "its record is gone: it expired or was revoked; its text does not tell which"
	case explainRevoked, inactiveRevoked:
		return "it was revoked before its end, or a failover of Redis lost it"
	case inactiveSession:
		return "its session has ended: logout, reuse of a refresh token, or not used for too long"
	case inactiveAllSessions:
		return "every session of the user was ended: logout everywhere, a new password, or disabled"
	case inactiveParent:
		return "a token that it was exchanged from was revoked, or its record is gone"
	case inactiveNotBefore:
		return "it is older than [tokens] not_before"
	case inactiveOthers:
		return "a refresh token is shown to its own client alone"
	case inactiveUsed:
		return "it was used, and its session has a newer refresh token"
	case inactiveLost:
		return "it is newer than its session: Redis lost a rotation"
	case explainNoToken:
		return "this is a secret and no token"
	}
	return meaningOfClient(r)
}

// meaningOfClient is meaningOf for what lies in a client.
func meaningOfClient(r inactiveReason) string {
	switch r {
	case inactiveClient:
		return "its client was deleted"
	case inactiveDisabled:
		return "its client is disabled"
	case inactiveClientRevoked:
		return "all tokens of its client were revoked, or the client was disabled and enabled since"
	case inactiveGrant:
		return "its client no longer has the grant type"
	case inactiveExchange:
		return "the exchange policy of a client that exchanged it, or a token before it, allows it no more"
	case inactiveScope:
		return "its client may no longer have any scope of it"
	case inactiveAudience:
		return `the caller has introspect = "audience", and aud lacks the caller's resource`
	case inactiveOwn:
		return `the caller has introspect = "own", and this is another client's token`
	}
	return ""
}
