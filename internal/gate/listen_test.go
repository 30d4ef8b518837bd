package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAddress(t *testing.T) {
	for text, local := range map[string]bool{"127.0.0.1:0": true, "[::1]:8082": true, "localhost:8082": true, "unix:/run/gate.sock": true, ":8082": false, "0.0.0.0:8082": false, "192.0.2.1:8082": false, "gate.example.com:8082": false} {
		a, err := ParseAddress(text, "660")
		require.NoError(t, err, text)
		require.Equal(t, local, a.Local(), text)
	}
	for _, wrong := range [][2]string{{"127.0.0.1", "660"}, {"unix:gate.sock", "660"}, {"", "660"}, {"unix:/a", "888"}, {"unix:/a", "rw"}, {"unix:/a", "4777"}, {"unix:/a", "0"}} {
		_, err := ParseAddress(wrong[0], wrong[1])
		require.Error(t, err, wrong)
	}
}

func TestSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Unix sockets have no mode here")
	}
	dir, err := os.MkdirTemp("", "gate") // a short path: the system bounds it
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	a, err := ParseAddress("unix:"+path, "620")
	require.NoError(t, err)
	l, err := a.Listen()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o620), info.Mode().Perm())
	_, err = a.Listen()
	require.ErrorContains(t, err, "is served by somebody else")
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as a gate that was killed leaves it
	require.NoError(t, l.Close())
	l, err = a.Listen()
	require.NoError(t, err)
	g, _ := newGate(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, Listeners{Checks: l, Log: slog.New(slog.DiscardHandler)}) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gate/verify?scope=orders:read", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer machine")
	req.Header.Set("Cookie", strings.Repeat("x", 40<<10)) // proxies send all that clients send
	res, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
	stop()
	require.NoError(t, <-ended)
	require.NoFileExists(t, path)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = a.Listen()
	require.ErrorContains(t, err, "is no socket")
}

// pairFiles writes a certificate.
func pairFiles(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, pemOf(t, private), 0o600))
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

func TestCertificate(t *testing.T) {
	cert, key := filepath.Join(t.TempDir(), "crt"), filepath.Join(t.TempDir(), "key")
	_, err := Certificate(cert, key, nil)
	require.Error(t, err)
	pairFiles(t, cert, key, 1)
	c := &certificate{certFile: cert, keyFile: key, failed: func(err error) { require.NoError(t, err) }}
	require.NoError(t, c.read())
	serial := func() int64 {
		pair, err := c.get(&tls.ClientHelloInfo{})
		require.NoError(t, err)
		return pair.Leaf.SerialNumber.Int64()
	}
	require.Equal(t, int64(1), serial())
	pairFiles(t, cert, key, 2)
	require.NoError(t, os.Chtimes(cert, time.Time{}, time.Now().Add(time.Minute)))
	require.Equal(t, int64(1), serial(), "the file is not looked at in every handshake")
	c.looked = time.Time{}
	require.Equal(t, int64(2), serial(), "a renewed certificate is served")
	require.NoError(t, os.WriteFile(cert, []byte("half"), 0o600))
	require.NoError(t, os.Chtimes(cert, time.Time{}, time.Now().Add(2*time.Minute)))
	failed := 0
	c.failed, c.looked = func(error) { failed++ }, time.Time{}
	require.Equal(t, int64(2), serial(), "one that cannot be read changes nothing")
	require.Equal(t, 1, failed)
}
