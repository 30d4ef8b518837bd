package server

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/tokens"
)

// measuredStore times the operations of requests, and makes spans of them. A refusal is no failure
// of the store.
type measuredStore struct {
	tokens.Store
	metrics *metrics.Metrics
	traced  bool
}

// operation is one call of the store on its way.
type operation struct {
	m     *measuredStore
	name  string
	began time.Time
	span  trace.Span // nil: no trace
}

func (m *measuredStore) begin(ctx context.Context, name string) (context.Context, operation) {
	o := operation{m: m, name: name, began: time.Now()}
	if m.traced {
		ctx, o.span = childSpan(ctx, "store "+name)
	}
	return ctx, o
}

func (o operation) end(err error) {
	if _, refused := errors.AsType[*tokens.GrantError](err); refused || errors.Is(err, tokens.ErrNotFound) ||
		errors.Is(err, tokens.ErrProofUsed) {
		err = nil
	}
	o.m.metrics.Stored(o.name, time.Since(o.began), outcomeOf(err))
	if o.span == nil {
		return
	}
	if err != nil {
		o.span.SetStatus(codes.Error, "the store failed")
	}
	o.span.End()
}

// Issue implements tokens.Store.
func (m *measuredStore) Issue(ctx context.Context, t tokens.Token, r *tokens.Record) error {
	ctx, o := m.begin(ctx, "issue")
	err := m.Store.Issue(ctx, t, r)
	o.end(err)
	return err
}

// IssueOnce implements tokens.Store.
func (m *measuredStore) IssueOnce(ctx context.Context, t tokens.Token, r *tokens.Record, p tokens.Proof) error {
	ctx, o := m.begin(ctx, "issue")
	err := m.Store.IssueOnce(ctx, t, r, p)
	o.end(err)
	return err
}

// Load implements tokens.Store.
func (m *measuredStore) Load(ctx context.Context, t tokens.Token) (*tokens.Record, error) {
	ctx, o := m.begin(ctx, "load")
	r, err := m.Store.Load(ctx, t)
	o.end(err)
	return r, err
}

// Revoke implements tokens.Store.
func (m *measuredStore) Revoke(ctx context.Context, t tokens.Token, clientID string) (bool, error) {
	ctx, o := m.begin(ctx, "revoke")
	ended, err := m.Store.Revoke(ctx, t, clientID)
	o.end(err)
	return ended, err
}

// StartSession implements tokens.Store.
func (m *measuredStore) StartSession(ctx context.Context, l *tokens.SessionStart) ([]tokens.SessionID, error) {
	ctx, o := m.begin(ctx, "login")
	beyond, err := m.Store.StartSession(ctx, l)
	o.end(err)
	return beyond, err
}

// Session implements tokens.Store.
func (m *measuredStore) Session(ctx context.Context, t tokens.Token) (*tokens.Session, error) {
	ctx, o := m.begin(ctx, "session")
	f, err := m.Store.Session(ctx, t)
	o.end(err)
	return f, err
}

// Rotate implements tokens.Store.
func (m *measuredStore) Rotate(ctx context.Context, r *tokens.Rotation) (*tokens.Rotated, error) {
	ctx, o := m.begin(ctx, "rotate")
	out, err := m.Store.Rotate(ctx, r)
	o.end(err)
	return out, err
}
