package tokens

import "time"

// Rotation is one use of a refresh token. New, Access and RetryResponse are drawn before the store
// is asked: a call that the network layer repeats is the same call.
type Rotation struct {
	Old, New      Token
	ClientID      string
	ClientEpoch   Epoch
	IdleTTL       time.Duration
	RetryWindow   time.Duration // how long a retry gets the same response; 0: never
	Access        Token
	Record        *Record      // of Access
	RequestHash   [16]byte     // of the scope and the resources that the client asked for
	RetryResponse []byte       // the response, sealed: only Old opens it
	Address       string       // coarse network address of the client
	Outage        Outage       // of what the caller depends on beside the store; it forgives a late retry
	Shown         Confirmation // the key and the certificate that the request proved
	Bind          bool         // a session that is not bound is bound to Shown from now on
	Proof         Proof        // of the key in Shown; zero: none
}

// Rotated is what a Rotation led to.
type Rotated struct {
	// RetryResponse is nil where this call's own tokens are the response. Else the call is a retry.
	RetryResponse []byte
	// NewAccess: a retry for another scope. Only the refresh token comes from the RetryResponse.
	NewAccess bool
	AccessTTL time.Duration // of the access token that the client gets
	// Reissued: a retry came late, through an outage. New tokens replace a pair that was never
	// received.
	Reissued bool
	// Suspicious: a retry from another network, or much later than a lost response explains.
	Suspicious bool
}

// suspiciousAge is the age of a rotation from which on a lost response does not explain a retry.
const suspiciousAge = 10 * time.Second

// Reason says in the log why a refresh was refused. Clients get invalid_grant alone.
type Reason string

// The reasons, in the order of the checks.
const (
	ReasonNoSession    Reason = "session_gone"
	ReasonOtherClient  Reason = "other_clients_token"    // no effect
	ReasonOtherKey     Reason = "refresh_token_bound"    // to a key or certificate that was not proved: no effect
	ReasonEnded        Reason = "session_expired"        // or another epoch of client or user: session ended
	ReasonAccessGone   Reason = "retry_after_revocation" // no effect
	ReasonLostRotation Reason = "refresh_rotation_lost"  // by Redis: session ended; no reuse
	ReasonReuse        Reason = "refresh_token_reused"   // session ended
	ReasonLogout       Reason = "logged_out_meanwhile"
)

// reasonLate is no final one: the store looks for an outage that explains a late retry.
const reasonLate Reason = "late"

// reasonReplayed becomes ErrProofUsed.
const reasonReplayed Reason = "replayed"

// binds says whether a session that this rotation leaves may have a confirmation.
func (r *Rotation) binds() bool { return r.Bind && !r.Shown.IsZero() }

// refusal is the error of a decision that refuses.
func (d *decision) refusal() error {
	if d.reason == reasonReplayed {
		return ErrProofUsed
	}
	return &GrantError{Reason: d.reason}
}

// ends says whether a refusal for this reason ends the session.
func (r Reason) ends() bool { return r == ReasonEnded || r == ReasonLostRotation || r == ReasonReuse }

// GrantError refuses a grant because of the state of its session. It is a "no", not a fault.
type GrantError struct {
	Reason Reason
	// Unconfirmed is why the end of the session is not as durable as configured. Nil: it is, or
	// nothing was ended. The refusal holds all the same.
	Unconfirmed error
}

func (e *GrantError) Error() string { return "the grant is not valid: " + string(e.Reason) }

// decision is what a store decides about a Rotation in one atomic step.
type decision struct {
	Rotated
	reason       Reason        // of a refusal; "": none
	age          time.Duration // of the pair of tokens that a retry asks for again
	otherAddress bool          // the retry comes from another network
}

func refuse(why Reason) *decision { return &decision{reason: why} }

// judged completes an accepted rotation. excused: an outage explains the age of a retry.
func (d *decision) judged(excused func(age time.Duration) bool) *Rotated {
	d.Suspicious = d.otherAddress || d.age > suspiciousAge && !excused(d.age)
	return &d.Rotated
}
