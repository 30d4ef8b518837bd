package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var rotateScript = newScript("clock", "fields", "session", "proof", "confirmation", "rotate")

// Rotate implements Store: one script, and another for a late retry or to end the session.
func (s *Redis) Rotate(ctx context.Context, r *Rotation) (*Rotated, error) {
	d, err := s.decideRotation(ctx, r, false)
	if err == nil && d.reason == reasonLate {
		d, err = s.decideLate(ctx, r, d.age)
	}
	if err != nil {
		return nil, err
	}
	if d.reason != "" {
		return nil, s.refused(ctx, r, d)
	}
	return d.judged(func(age time.Duration) bool { return s.excuses(r, age) }), nil
}

// decideLate decides about a retry whose response is gone: reuse, unless an outage explains it.
func (s *Redis) decideLate(ctx context.Context, r *Rotation, age time.Duration) (*decision, error) {
	forgiven, err := s.forgives(ctx, r, age)
	if err != nil {
		return nil, err
	}
	if !forgiven {
		return refuse(ReasonReuse), nil
	}
	d, err := s.decideRotation(ctx, r, true)
	if err == nil {
		d.Reissued = d.RetryResponse == nil
	}
	return d, err
}

// refused ends the session where the reason does. The refusal holds whether or not that is
// confirmed.
func (s *Redis) refused(ctx context.Context, r *Rotation, d *decision) error {
	err := d.refusal()
	if g, ok := errors.AsType[*GrantError](err); ok && g.Reason.ends() {
		_, g.Unconfirmed = s.EndSession(ctx, r.Old.Tag, r.Old.Session)
	}
	return err
}

// decideRotation runs rotate.lua. forgiven: an outage explains a late retry.
func (s *Redis) decideRotation(ctx context.Context, r *Rotation, forgiven bool) (*decision, error) {
	args := rotationArgs(r, r.Record.keepFor(s.Now()), forgiven)
	keys := rotationKeys(r)
	if !r.Proof.IsZero() {
		keys = append(keys, s.proofKeyBeside(r.Old.Tag, r.Proof))
	}
	v, err := s.evalAddition(ctx, UnconfirmedRotation, rotateScript, keys, args...)
	if err != nil {
		return nil, err
	}
	return readDecision(v)
}

// rotationKeys returns four names in one slot, which is written out once. The proof's is not among
// them.
func rotationKeys(r *Rotation) []string {
	user, id := userKey("", r.Old.Tag, nil), r.Old.Session
	session := user + string(id[:])
	return []string{"f" + session, "u" + user, "w" + session, "t" + user + string(r.Access.Hash[:len(ID{})])}
}

// rotationArgs writes records and head into one buffer.
func rotationArgs(r *Rotation, accessTTL time.Duration, forgiven bool) []any {
	b := appendSessionHead(make([]byte, 0, 320+len(r.RetryResponse)), r.binds(), r.New.Hash, r.Old.Hash, r.Old.Generation+1)
	head := len(b)
	b = appendUserRecord(b, r.Access.Hash, r.Record)
	access := len(b)
	b = appendRetryRecord(b, r)
	args := []any{b[:head], r.ClientID, r.ClientEpoch[:], paddedAddress(r.Address),
		r.IdleTTL.Milliseconds(), max(r.IdleTTL, accessTTL).Milliseconds(), accessTTL.Milliseconds(),
		max(r.RetryWindow, 0).Milliseconds(), b[head:access], b[access:]}
	if !forgiven && r.Shown.IsZero() {
		return args
	}
	args = append(args, forgiven, appendBoth(nil, r.Shown))
	if !r.Proof.IsZero() {
		args = append(args, r.Access.Hash[:len(ID{})], r.Proof.TTL.Milliseconds())
	}
	return args
}

// readDecision reads what rotate.lua returns: the access token's life, {reason}, {late, age}, or
// {how, life, response, age, other address} for a retry.
func readDecision(v any) (*decision, error) {
	if ttl, rotated := v.(int64); rotated {
		return &decision{Rotated: Rotated{AccessTTL: milliseconds(ttl)}}, nil
	}
	list, _ := v.([]any)
	switch len(list) {
	case 1, 2:
		why, _ := list[0].(string)
		return &decision{reason: Reason(why), age: milliseconds(list[len(list)-1])}, nil
	case 5:
		response, _ := list[2].(string)
		d := &decision{age: milliseconds(list[3]), otherAddress: list[4] == int64(1)}
		d.RetryResponse, d.NewAccess, d.AccessTTL = []byte(response), list[0] == "new access", milliseconds(list[1])
		return d, nil
	}
	return nil, fmt.Errorf("%w: unexpected answer of the rotation", ErrRecord)
}

func milliseconds(v any) time.Duration {
	n, _ := v.(int64)
	return time.Duration(n) * time.Millisecond
}
