// Package grpcapi checks Grantor's tokens in a gRPC server.
package grpcapi

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grantor-auth/grantor/middleware"
)

// Guard checks the token of each call. A method without a scope is refused.
type Guard struct {
	Verifier middleware.Verifier
	Audience string            // the name of this API in tokens
	Scopes   map[string]string // the scope that a method needs, by "/package.Service/Method"
}

type tokenKey struct{}

// TokenFrom returns the token of a call.
func TokenFrom(ctx context.Context) *middleware.Token {
	token, _ := ctx.Value(tokenKey{}).(*middleware.Token)
	return token
}

func (g Guard) check(ctx context.Context, method string) (context.Context, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return nil, status.Error(codes.Unauthenticated, "one authorization header is needed: Bearer and a token")
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || text == "" || len(text) > middleware.MaxTokenBytes {
		return nil, status.Error(codes.Unauthenticated, "the authorization header must be Bearer and a token")
	}
	token, err := g.Verifier.Verify(ctx, text)
	switch scope, known := g.Scopes[method]; {
	case errors.Is(err, middleware.ErrInvalidToken):
		return nil, status.Error(codes.Unauthenticated, "the token is unknown, expired or revoked")
	case err != nil: // not Unauthenticated: the token may be good
		return nil, status.Error(codes.Unavailable, "tokens cannot be verified at the moment")
	case !token.HasAudience(g.Audience):
		return nil, status.Error(codes.Unauthenticated, "the token is meant for another API")
	case !known || !token.Scope.Has(scope):
		return nil, status.Errorf(codes.PermissionDenied, "the method needs the scope %q", scope)
	}
	return context.WithValue(ctx, tokenKey{}, token), nil
}

// Unary is for grpc.UnaryInterceptor.
func (g Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := g.check(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context { return s.ctx }

// Stream is for grpc.StreamInterceptor. The token is checked when the stream begins.
func (g Guard) Stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := g.check(s.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return next(srv, stream{s, ctx})
}
