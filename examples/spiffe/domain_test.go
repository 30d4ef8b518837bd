package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/logger"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// trustDomain issues JWT-SVIDs to its one workload through the Workload API, and publishes its
// bundle by go-spiffe's own handler.
type trustDomain struct {
	workload.UnimplementedSpiffeWorkloadAPIServer

	name     spiffeid.TrustDomain
	key      *ecdsa.PrivateKey // of JWT-SVIDs
	rootKey  *ecdsa.PrivateKey // of X.509-SVIDs
	root     *x509.Certificate
	workload string // path of the SPIFFE ID in X.509-SVIDs
	bundle   *httptest.Server
	caFile   string // of the bundle endpoint
	change   func(kid *string, signer *crypto.Signer, claims map[string]any)
}

func newTrustDomain(t *testing.T, name string) *trustDomain {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	d := &trustDomain{name: spiffeid.RequireTrustDomainFromString(name), key: key, workload: "/billing"}
	b := spiffebundle.New(d.name)
	require.NoError(t, b.AddJWTAuthority("jwt-1", key.Public()))
	d.root = d.authority(t)
	b.AddX509Authority(d.root)
	b.SetSequenceNumber(10)
	b.SetRefreshHint(5 * time.Minute)
	handler, err := federation.NewHandler(d.name, b, federation.WithLogger(logger.Null))
	require.NoError(t, err)
	d.bundle = httptest.NewTLSServer(handler)
	t.Cleanup(d.bundle.Close)
	d.caFile = filepath.Join(t.TempDir(), "ca.crt")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: d.bundle.Certificate().Raw}
	require.NoError(t, os.WriteFile(d.caFile, pem.EncodeToMemory(block), 0o600))
	return d
}

// authority is the root of the trust domain's X.509-SVIDs.
func (d *trustDomain) authority(t *testing.T) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	d.rootKey = key
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	root, err := x509.ParseCertificate(text)
	require.NoError(t, err)
	return root
}

// serveAgent serves the Workload API where go-spiffe looks for it.
func (d *trustDomain) serveAgent(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	s := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(s, d)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "unix://"+socket)
}

// FetchJWTSVID answers with a JWT-SVID as SPIRE's agent does: no iss, no jti.
func (d *trustDomain) FetchJWTSVID(ctx context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if m, _ := metadata.FromIncomingContext(ctx); len(m["workload.spiffe.io"]) != 1 {
		return nil, status.Error(codes.InvalidArgument, "the header workload.spiffe.io is missing")
	}
	id := d.name.IDString() + "/billing"
	svid, err := d.svid(id, r.Audience)
	return &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{{SpiffeId: id, Svid: svid}}}, err
}

func (d *trustDomain) svid(id string, audience []string) (string, error) {
	kid, signer := "jwt-1", crypto.Signer(d.key)
	claims := map[string]any{"sub": id, "aud": audience, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	if d.change != nil {
		d.change(&kid, &signer, claims)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithmOf(signer), Key: signer}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := s.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func algorithmOf(key crypto.Signer) jose.SignatureAlgorithm {
	switch k, ok := key.(*ecdsa.PrivateKey); {
	case !ok:
		return jose.EdDSA
	case k.Curve == elliptic.P384():
		return jose.ES384
	}
	return jose.ES256
}
