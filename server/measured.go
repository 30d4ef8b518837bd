package server

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"

	"github.com/grantor-auth/grantor/metrics"
	"github.com/grantor-auth/grantor/tokens"
)

// measuredStore times the operations of requests, and makes spans of them. A "no" is no failure of the store.
type measuredStore struct {
	tokens.Store
	metrics *metrics.Metrics
}

func measure[T any](ctx context.Context, m *measuredStore, operation string, run func(context.Context) (T, error)) (T, error) {
	began := time.Now()
	inner := ctx
	child, span := childSpan(ctx, "store "+operation)
	if child != ctx {
		inner = child
	}
	v, err := run(inner)
	failed := err
	if _, refused := errors.AsType[*tokens.GrantError](err); refused || errors.Is(err, tokens.ErrNotFound) {
		failed = nil
	}
	m.metrics.Stored(operation, time.Since(began), failed)
	if child != ctx {
		if failed != nil {
			span.SetStatus(codes.Error, "the store failed")
		}
		span.End()
	}
	return v, err
}

type none = struct{}

// Issue implements tokens.Store.
func (m *measuredStore) Issue(ctx context.Context, t tokens.Token, r *tokens.Record) error {
	_, err := measure(ctx, m, "issue", func(ctx context.Context) (none, error) { return none{}, m.Store.Issue(ctx, t, r) })
	return err
}

// Load implements tokens.Store.
func (m *measuredStore) Load(ctx context.Context, t tokens.Token) (*tokens.Record, error) {
	return measure(ctx, m, "load", func(ctx context.Context) (*tokens.Record, error) { return m.Store.Load(ctx, t) })
}

// Revoke implements tokens.Store.
func (m *measuredStore) Revoke(ctx context.Context, t tokens.Token, clientID string) (bool, error) {
	return measure(ctx, m, "revoke", func(ctx context.Context) (bool, error) { return m.Store.Revoke(ctx, t, clientID) })
}

// Login implements tokens.Store.
func (m *measuredStore) Login(ctx context.Context, l *tokens.Login) error {
	_, err := measure(ctx, m, "login", func(ctx context.Context) (none, error) { return none{}, m.Store.Login(ctx, l) })
	return err
}

// Family implements tokens.Store.
func (m *measuredStore) Family(ctx context.Context, t tokens.Token) (*tokens.Family, error) {
	return measure(ctx, m, "family", func(ctx context.Context) (*tokens.Family, error) { return m.Store.Family(ctx, t) })
}

// Rotate implements tokens.Store.
func (m *measuredStore) Rotate(ctx context.Context, r *tokens.Rotation) (*tokens.Rotated, error) {
	return measure(ctx, m, "rotate", func(ctx context.Context) (*tokens.Rotated, error) { return m.Store.Rotate(ctx, r) })
}
