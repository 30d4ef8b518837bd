package grpcapi_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/grantor-auth/grantor/examples/routers/grpcapi"
	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

var elsewhere = grantortest.Want{Scopes: []string{"orders:read"}, Audience: []string{"https://other.example.com"}}

// health answers, and remembers who asked.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	subject string
}

func (h *health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	h.subject = grpcapi.TokenFrom(ctx).Subject
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (h *health) Watch(_ *grpc_health_v1.HealthCheckRequest, s grpc_health_v1.Health_WatchServer) error {
	h.subject = grpcapi.TokenFrom(s.Context()).Subject
	return s.Send(&grpc_health_v1.HealthCheckResponse{})
}

const audience = "https://orders.example.com"

func serve(t *testing.T, srv *grantortest.Server) (grpc_health_v1.HealthClient, *health) {
	t.Helper()
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: srv.Issuer, ClientID: srv.API.ID, ClientSecret: srv.API.Secret})
	require.NoError(t, err)
	guard := grpcapi.Guard{Verifier: verifier, Audience: audience, Scopes: map[string]string{
		"/grpc.health.v1.Health/Check": "orders:read",
		"/grpc.health.v1.Health/Watch": "orders:watch",
	}}
	server := grpc.NewServer(grpc.UnaryInterceptor(guard.Unary), grpc.StreamInterceptor(guard.Stream))
	h, l := &health{}, bufconn.Listen(1<<16)
	grpc_health_v1.RegisterHealthServer(server, h)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn), h
}

func TestGRPC(t *testing.T) {
	srv := grantortest.New(t, grantortest.Options{Audience: audience})
	client, h := serve(t, srv)
	ask := func(headers ...string) codes.Code {
		_, err := client.Check(metadata.AppendToOutgoingContext(t.Context(), headers...), &grpc_health_v1.HealthCheckRequest{})
		return status.Code(err)
	}
	bearer := func(token string) []string { return []string{"authorization", "Bearer " + token} }
	t.Run("a good token, and the method sees whose it is", func(t *testing.T) {
		require.Equal(t, codes.OK, ask(bearer(srv.UserToken("u-1", "orders:read"))...))
		require.Equal(t, "u-1", h.subject)
	})
	t.Run("Unauthenticated", func(t *testing.T) {
		good := srv.Token("orders:read")
		for name, headers := range map[string][]string{"no token": nil, "nonsense": bearer("gat_nonsense"), "empty": bearer(""), "Basic": {"authorization", "Basic " + good},
			"two": append(bearer(good), bearer(good)...)} {
			require.Equal(t, codes.Unauthenticated, ask(headers...), name)
		}
		srv.Revoke(good)
		require.Equal(t, codes.Unauthenticated, ask(bearer(good)...), "revoked")
		require.Equal(t, codes.Unauthenticated, ask(bearer(srv.Issue(elsewhere).AccessToken)...), "another API")
	})
	t.Run("DP-05 RFC 9449 §7.2 Unauthenticated: a token that is bound to a key, which nobody checks here", func(t *testing.T) {
		key := srv.Key()
		bound := srv.Issue(grantortest.Want{Scopes: []string{"orders:read"}, Key: key}).AccessToken
		require.Equal(t, codes.Unauthenticated, ask(bearer(bound)...))
		require.Equal(t, codes.Unauthenticated, ask("authorization", "DPoP "+bound, "dpop", key.Proof("POST", audience, bound)))
	})
	t.Run("PermissionDenied", func(t *testing.T) {
		require.Equal(t, codes.PermissionDenied, ask(bearer(srv.Token("orders:write"))...))
		_, err := client.List(metadata.AppendToOutgoingContext(t.Context(), bearer(srv.Token("orders:read"))...), &grpc_health_v1.HealthListRequest{})
		require.Equal(t, codes.PermissionDenied, status.Code(err), "a method without a scope")
	})
	t.Run("Unavailable while Grantor fails", func(t *testing.T) {
		token := srv.Token("orders:read")
		srv.FailNext(1, 503)
		require.Equal(t, codes.Unavailable, ask(bearer(token)...))
		require.Equal(t, codes.OK, ask(bearer(token)...))
	})
	t.Run("streams", func(t *testing.T) {
		watch := func(scope string) codes.Code {
			s, err := client.Watch(metadata.AppendToOutgoingContext(t.Context(), bearer(srv.UserToken("u-2", scope))...), &grpc_health_v1.HealthCheckRequest{})
			require.NoError(t, err)
			_, err = s.Recv()
			return status.Code(err)
		}
		require.Equal(t, codes.PermissionDenied, watch("orders:read"))
		require.Equal(t, codes.OK, watch("orders:watch"))
		require.Equal(t, "u-2", h.subject)
	})
}
