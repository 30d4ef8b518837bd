package middleware

import (
	"context"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/internal/jws"
)

// Either is the Verifier for an API that is sent opaque tokens and JWTs: it looks at the form of
// the token and asks the one or the other. A token that the one refuses is never shown to the
// other.
//
//	verifier := middleware.Either(introspection, jwt)
func Either(opaque, jwt Verifier) Verifier {
	if opaque == nil || jwt == nil {
		panic("middleware: Either needs two verifiers")
	}
	return pair{of: [2]Verifier{opaque, jwt}, VerifierFunc: func(ctx context.Context, token string) (*Token, error) {
		if jws.HasForm(token) {
			return jwt.Verify(ctx, token)
		}
		return opaque.Verify(ctx, token)
	}}
}

// HighRisk is the Verifier for routes where a revoked JWT must not live until its exp: it
// verifies the JWT by itself, then asks the authorization server as well (RFC 9068 §5, RFC 7662).
// The routes get a Guard of their own:
//
//	either := middleware.Either(introspection, jwt)
//	both := middleware.Either(introspection, middleware.HighRisk(jwt, introspection))
//	plain, err := middleware.New(middleware.Config{Verifier: either})
//	strict, err := middleware.New(middleware.Config{Verifier: both})
//	router.GET("/orders", plain.Authenticate(), list)
//	router.POST("/payouts", strict.Authenticate(), pay)
//
// Let that introspection have no CacheTTL, or a revocation may go unseen for so long. With Follow
// it may go unseen for a lease.
func HighRisk(jwt, introspection Verifier) Verifier {
	if jwt == nil || introspection == nil {
		panic("middleware: HighRisk needs two verifiers")
	}
	return pair{of: [2]Verifier{jwt, introspection}, VerifierFunc: func(ctx context.Context, token string) (*Token, error) {
		local, err := jwt.Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		asked, err := introspection.Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		return both(local, asked)
	}}
}

// both returns what two verifiers agree on: the narrower scope, the claims of both, the earlier
// end. What they contradict each other in is no token.
func both(local, asked *Token) (*Token, error) {
	if local == nil || asked == nil {
		return nil, ErrInvalidToken
	}
	differ := func(a, b string) bool { return b != "" && a != b }
	if differ(local.Subject, asked.Subject) || differ(local.ClientID, asked.ClientID) || differ(local.ID, asked.ID) ||
		local.Confirmation != asked.Confirmation || differ(local.Issuer, asked.Issuer) || differ(local.Session, asked.Session) {
		return nil, fmt.Errorf("the introspection answer is about another token: %w", ErrInvalidToken)
	}
	t := *local
	t.Scope, t.Username, t.SubjectType = local.Scope.Intersect(asked.Scope), asked.Username, asked.SubjectType
	t.ExpiresAt = earlier(local.ExpiresAt, asked.ExpiresAt)
	t.Claims = commonClaims(local.Claims, asked.Claims)
	return &t, nil
}

// commonClaims returns the claims that both have, with the values of asked, which are the later
// ones. A client may have lost the scope that a claim is tied to.
func commonClaims(local, asked map[string]any) map[string]any {
	var common map[string]any
	for name, value := range asked {
		if _, there := local[name]; there {
			if common == nil {
				common = make(map[string]any, len(asked))
			}
			common[name] = value
		}
	}
	return common
}

// earlier returns the first of two ends; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
