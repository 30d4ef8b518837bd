// Package audit is the trail of events that matter to security: which tokens were issued, which
// requests were refused and why, what was revoked, what an operator changed. One event is one
// line of JSON, in a stream of its own.
//
// Events hold no token, secret or password. A user is named by a keyed hash of the id, so that
// events can be joined without naming anybody.
package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/printable"
)

// Names of events.
const (
	TokenIssued        = "token_issued"
	TokenRefreshed     = "token_refreshed"
	TokenExchanged     = "token_exchanged" // RFC 8693; the detail says from which token, and who acts
	TokenRefused       = "token_refused"
	TokenRevoked       = "token_revoked"
	ReuseDetected      = "reuse_detected"           // an alarm: a used refresh token was presented again
	RotationLost       = "refresh_rotation_lost"    // Redis lost a rotation
	RetrySuspicious    = "refresh_retry_suspicious" // a retry of a refresh from another network, or much later
	UserLockedOut      = "user_locked_out"
	ClientLockedOut    = "client_locked_out"
	ClientChanged      = "client_changed"
	UserChanged        = "user_changed"
	KeyCreated         = "key_created" // an API key of a client; the key's id is the jti
	KeyRevoked         = "key_revoked"
	ConfigReloaded     = "config_reloaded"
	ConfigReloadFailed = "config_reload_failed"
	KeysRotated        = "keys_rotated"
	FeedEnabled        = "feed_enabled"
	ConsoleLogin       = "console_login" // an operator logged in to the console
	ConsoleLogout      = "console_logout"
)

// Event is one entry of the trail.
type Event struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	RequestID string    `json:"request_id,omitempty"`
	Actor     string    `json:"actor,omitempty"` // who did it: a client's id, "operator", "server", "user"
	Client    string    `json:"client_id,omitempty"`
	// Credential is which of the client's credentials proved it: "secret:" and the secret's id, "key:"
	// and the kid, "workload:" and issuer and subject.
	Credential string `json:"credential,omitempty"`
	Key        string `json:"dpop_jkt,omitempty"` // thumbprint of the key that the request proved (RFC 9449 §6.1)
	Subject    string `json:"subject_hash,omitempty"`
	Session    string `json:"session,omitempty"`
	Token      string `json:"jti,omitempty"`
	Grant      string `json:"grant_type,omitempty"`
	Scope      string `json:"scope,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Peer       string `json:"peer,omitempty"`

	Unauthenticated bool `json:"-"` // by a client that proved nothing: anybody can cause any number
}

// line is the event as JSON.
func (e *Event) line(buf []byte) []byte {
	o := append(jsonobject.Object(buf[:0]).Name("time"), '"')
	o = append(e.Time.AppendFormat(o, time.RFC3339Nano), '"')
	o = jsonobject.Object(o).Text("event", e.Event)
	o = o.TextOr("request_id", e.RequestID).TextOr("actor", e.Actor).TextOr("client_id", e.Client).TextOr("credential", e.Credential).TextOr("dpop_jkt", e.Key).TextOr("subject_hash", e.Subject)
	o = o.TextOr("session", e.Session).TextOr("jti", e.Token).TextOr("grant_type", e.Grant).TextOr("scope", e.Scope)
	return o.TextOr("reason", e.Reason).TextOr("detail", e.Detail).TextOr("peer", e.Peer).Close()
}

// Trail writes events. A nil *Trail writes none.
type Trail struct {
	sink  *Sink
	log   *slog.Logger
	count func(event string, dropped bool)
}

// New returns a trail into sink. An event that cannot be written is counted and logged, and the
// request goes on; an operator who needs more can alert on the count. count may be nil.
func New(sink *Sink, log *slog.Logger, count func(event string, dropped bool)) *Trail {
	if count == nil {
		count = func(string, bool) {}
	}
	return &Trail{sink, log, count}
}

// Record writes one event; its time is now unless it has one.
func (t *Trail) Record(ctx context.Context, e Event) {
	if t == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	for _, text := range []*string{&e.Actor, &e.Client, &e.Credential, &e.Detail, &e.Scope} {
		*text = printable.Redact(*text)
	}
	sink := t.sink.of(&e)
	line := sink.spare.Get().(*[]byte)
	*line = e.line(*line)
	err := sink.write(line)
	t.count(e.Event, err != nil)
	if err != nil {
		t.log.ErrorContext(ctx, "an audit event could not be written", "event", e.Event,
			"request_id", e.RequestID, "error", err.Error())
	}
}

// Names returns the names of all events.
func Names() []string {
	return []string{TokenIssued, TokenRefreshed, TokenRefused, TokenRevoked, ReuseDetected, RotationLost, RetrySuspicious,
		UserLockedOut, ClientLockedOut, ClientChanged, UserChanged, KeyCreated, KeyRevoked, ConfigReloaded, ConfigReloadFailed,
		KeysRotated, FeedEnabled, ConsoleLogin, ConsoleLogout}
}
