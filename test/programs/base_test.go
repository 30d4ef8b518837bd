package programs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/users"
)

const (
	module   = "github.com/grantor-auth/grantor"
	examples = "../../examples/programs"
	password = "a mill that weaves numbers"
)

// patience bounds the start of a program on a machine with much to do.
const patience = 3 * time.Minute

// secret is a client's: each has one of its own.
func secret(client string) string { return "gcs-of-" + client + "-for-a-test-of-programs" }

// stranger is a client whose JWTs are for another API than RabbitMQ.
const stranger = `
[[clients]]
client_id = "stranger"
grant_types = ["client_credentials"]
scope = "metrics:read"
access_token_format = "jwt"
secrets = [{ hash = "sha256:STRANGER" }]
`

// server is a running Grantor with the configuration of the examples.
type server struct {
	*processtest.Process
	issuer string // https://localhost:1234
	folder string // readable by other users: ca.pem, cert.pem, key.pem
	client *http.Client
}

// serve starts it, with more clients of the configuration. The folder ends with the test.
func serve(t *testing.T, more ...string) *server {
	t.Helper()
	s := &server{folder: sharedFolder(t)}
	s.client = certificates(t, s.folder)
	addr := freeAddress(t)
	s.issuer = "https://localhost:" + port(addr)
	text, err := os.ReadFile(examples + "/grantor.toml")
	require.NoError(t, err)
	hash, err := users.Hash(password)
	require.NoError(t, err)
	pairs := []string{`"PASSWORD"`, `"` + hash + `"`}
	for _, c := range []string{"shipping", "dovecot", "prometheus", "orders", "stranger"} {
		sum := sha256.Sum256([]byte(secret(c)))
		pairs = append(pairs, "sha256:"+strings.ToUpper(c), "sha256:"+hex.EncodeToString(sum[:]))
	}
	config := filepath.Join(t.TempDir(), "config.toml")
	head := "issuer = \"" + s.issuer + "\"\nlisten = \"" + addr + "\"\nstore = \"memory\"\n[tls]\nmode = \"files\"\ncert_file = \"" +
		s.folder + "/cert.pem\"\nkey_file = \"" + s.folder + "/key.pem\"\n"
	text = append(text, stranger+strings.Join(more, "")...)
	require.NoError(t, os.WriteFile(config, []byte(head+strings.NewReplacer(pairs...).Replace(string(text))), 0o600))
	program, err := processtest.Build(t.TempDir(), module)
	require.NoError(t, err)
	s.Process = &processtest.Process{Cmd: exec.Command(program, "serve", "--config", config)}
	s.Process.Start(t)
	return s
}

// token returns an access token for a form of the token endpoint.
func (s *server) token(t *testing.T, client string, form url.Values) string {
	t.Helper()
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal(s.post(t, "/oauth2/token", client, form), &answer))
	require.NotEmpty(t, answer.Token)
	return answer.Token
}

// post sends a form as a client whose secret goes into the body.
func (s *server) post(t *testing.T, path, client string, form url.Values) []byte {
	t.Helper()
	form.Set("client_id", client)
	form.Set("client_secret", secret(client))
	res, err := s.client.PostForm(s.issuer+path, form)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	return body
}

func machine(scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
}

// configured copies files of the examples into a folder, with other texts in the place of some.
func configured(t *testing.T, folder string, names []string, pairs ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(examples, name))
		require.NoError(t, err)
		text = []byte(strings.NewReplacer(pairs...).Replace(string(text)))
		require.NoError(t, os.WriteFile(filepath.Join(folder, filepath.Base(name)), text, 0o644)) // other users read it
	}
}

// start runs a program until the test ends, and until then waits for ready.
func start(t *testing.T, c *exec.Cmd, ready func() bool) *processtest.Text {
	t.Helper()
	log := &processtest.Text{Limit: 1 << 20}
	c.Stdout, c.Stderr = log, log
	require.NoError(t, c.Start())
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
		if t.Failed() {
			said := log.String()
			t.Logf("%s said:\n%s", c.Path, said[max(0, len(said)-8<<10):])
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-ended:
			return true
		default:
			return ready()
		}
	}, patience, 50*time.Millisecond, c.Path)
	select {
	case <-ended:
		t.Fatalf("%s ended: %s", c.Path, log)
	default:
	}
	return log
}

// program finds a program of the machine, or skips the test.
func program(t *testing.T, path string) string {
	t.Helper()
	found, err := exec.LookPath(path)
	if err != nil {
		require.NotEqual(t, "1", os.Getenv("GRANTOR_TEST_REQUIRE_PROGRAMS"), path+" is not there")
		t.Skip(path + " is not there")
	}
	return found
}

// sharedFolder is a folder that other users can read: some programs do not stay root.
func sharedFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "programs")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// listens says whether something takes connections at an address.
func listens(addr string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// certificates writes an authority and a certificate for localhost, and returns a client that
// trusts it.
func certificates(t *testing.T, folder string) *http.Client {
	t.Helper()
	sign := func(name string, template, parent *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if by == nil {
			by = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		require.NoError(t, err)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
		if name != "ca" {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
		}
		return key
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, NotAfter: time.Now().Add(time.Hour),
		NotBefore: time.Now().Add(-time.Minute), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: ca.NotAfter, NotBefore: ca.NotBefore,
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	by := sign("ca", ca, ca, nil)
	sign("cert", leaf, ca, by)
	text, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(text))
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}
