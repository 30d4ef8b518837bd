package reference

import (
	"go/ast"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/audit"
)

// trailEvent says when an event is written, and which members it has beside time and event.
type trailEvent struct{ name, when, members string }

// trailEvents explain every event. Whoever adds an event adds it here.
func trailEvents() []trailEvent {
	request := "request_id actor client_id peer "
	return []trailEvent{
		{"token_issued", "A client or user got an access token.", request + "dpop_jkt grant_type scope jti subject_hash session"},
		{"token_refreshed", "A refresh gave a new pair. `reason` is `retry_after_outage` where an outage explains a late retry.", request + "dpop_jkt grant_type scope jti subject_hash session reason"},
		{"token_exchanged", "A client got an access token in exchange for another one. `detail` names that token, its client and who acts.", request + "dpop_jkt grant_type scope jti subject_hash session detail"},
		{"token_refused", "A token request, or the authentication of a client, was refused.", request + "dpop_jkt grant_type reason"},
		{"token_revoked", "A token was revoked, or a user logged out.", request + "jti session subject_hash"},
		{"reuse_detected", "An alarm: a used refresh token came again, and the session was ended.", request + "dpop_jkt reason subject_hash session"},
		{"refresh_rotation_lost", "Redis lost the last rotation of a session, and the session was ended.", request + "reason subject_hash session"},
		{"refresh_retry_suspicious", "A retry of a refresh came from another network, or late. It got the same answer.", request + "subject_hash session"},
		{"user_locked_out", "A login was refused because the user or the address is locked.", request + "grant_type reason subject_hash"},
		{"client_locked_out", "Wrong credentials of a client came too often from one address.", request + "reason"},
		{"client_changed", "An operator, or the client itself, changed a registration. `detail` says what.", request + "detail reason"},
		{"key_created", "An operator made an API key of a client. `jti` is the key's id, and `detail` its name.", request + "jti scope detail reason"},
		{"key_revoked", "An API key was revoked, by an operator or by its client.", request + "jti scope detail reason"},
		{"user_changed", "An operator changed a user or ended sessions. `detail` says what, and names the user by the hash.", request + "detail reason"},
		{"config_reloaded", "A new configuration is in force.", "actor"},
		{"config_reload_failed", "A new configuration is invalid, or could not be put in force.", "actor"},
		{"keys_rotated", "A signing key begins to sign, or an operator asked for a rotation.", "actor detail reason"},
		{"feed_enabled", "`grantor feed enable` switched the revocation feed on.", "actor"},
		{"console_login", "An operator logged in to the console. `detail` says how.", "actor detail peer"},
		{"console_logout", "An operator logged out of the console.", "actor peer"},
	}
}

// memberTexts explain the members of events.
func memberTexts() map[string]string {
	return map[string]string{
		"time":         "When, by the node's clock (RFC 3339).",
		"event":        "The name of the event.",
		"request_id":   "The `X-Request-Id` of the answer.",
		"actor":        "Who did it: a client's id, `operator`, `server`, `command line (alice)`, or `console (alice)`.",
		"client_id":    "The client that it is about. Of a refused client: the id that the request claims.",
		"credential":   "What proved the client: `secret:` and the secret's id, `key:` and the `kid` or thumbprint, `workload:` with issuer and subject. A right one that is refused, too.",
		"dpop_jkt":     "The thumbprint of the key that a DPoP proof of the request proved (RFC 9449).",
		"subject_hash": "The user, as a keyed hash of the id.",
		"session":      "The session's id, as `grantor user sessions` shows it.",
		"jti":          "The token's id, as JWT and introspection have it.",
		"grant_type":   "The grant type of a token request.",
		"scope":        "The granted scope.",
		"reason":       "[Why](http.md#what-does-this-reason-mean). Of a change, `not_confirmed`: too few replicas confirmed it.",
		"detail":       "What was changed.",
		"peer":         "The client's address.",
	}
}

// events returns the names of the constants under "Names of events" of package audit.
func (s *Source) events() (names []string) {
	for _, p := range s.packages {
		if p.path != "internal/audit" {
			continue
		}
		for _, file := range p.files {
			for _, d := range file.Decls {
				if g, ok := d.(*ast.GenDecl); ok && strings.HasPrefix(g.Doc.Text(), "Names of events") {
					for _, spec := range g.Specs {
						for _, v := range spec.(*ast.ValueSpec).Values {
							names = append(names, text(p, v))
						}
					}
				}
			}
		}
	}
	return names
}

// trailTables writes events and members, and names those without an explanation.
func (s *Source) trailTables() (events, members string, complaints []string) {
	known := s.events()
	var rows, memberRows [][]string
	texts := memberTexts()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[audit.Event]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if texts[name] == "" {
			complaints = append(complaints, "test/reference/trail.go: the member "+name+" of events is not explained")
		}
		memberRows = append(memberRows, []string{quoted(name), texts[name]})
	}
	var explained []string
	for _, e := range trailEvents() {
		explained = append(explained, e.name)
		var list []string
		for m := range strings.FieldsSeq(e.members) {
			if texts[m] == "" {
				complaints = append(complaints, "test/reference/trail.go: "+e.name+" has no member "+m)
			}
			list = append(list, quoted(m))
		}
		rows = append(rows, []string{anchor("event", e.name) + quoted(e.name), e.when, strings.Join(list, ", ")})
		if !slices.Contains(known, e.name) {
			complaints = append(complaints, "test/reference/trail.go: no code records "+strconv.Quote(e.name)+": strike it")
		}
	}
	for _, name := range known {
		if !slices.Contains(explained, name) {
			complaints = append(complaints, "the event "+strconv.Quote(name)+" is not explained: add it to test/reference/trail.go")
		}
	}
	return table([]string{"event", "when", "members, where they are known"}, rows), table([]string{"member", "meaning"}, memberRows), complaints
}
