package faults_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair is a certificate and its key, in PEM.
type pair struct {
	cert, key []byte
	leaf      *x509.Certificate
}

func newPair(t *testing.T, name string) pair {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), leaf}
}

// folder holds the files of a certificate behind links. The node watches the folder of the links,
// so that what is written behind them is seen when it is told, and not before.
type folder struct{ links, files string }

func newFolder(t *testing.T) folder {
	t.Helper()
	f := folder{t.TempDir(), t.TempDir()}
	f.relink(t)
	return f
}

func (f folder) write(t *testing.T, cert, key []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(f.files, "cert.pem"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(f.files, "key.pem"), key, 0o600))
}

// relink puts new links in the place of the old ones, as Kubernetes does: this the node sees.
func (f folder) relink(t *testing.T) {
	t.Helper()
	for _, name := range []string{"cert.pem", "key.pem"} {
		next := filepath.Join(f.links, "next")
		require.NoError(t, os.Symlink(filepath.Join(f.files, name), next))
		require.NoError(t, os.Rename(next, filepath.Join(f.links, name)))
	}
}

// scan is what came of handshakes with a node.
type scan struct {
	t       *testing.T
	n       *node
	made    int
	refused int // of TLS 1.0 and 1.1
}

// serves says whether a client that trusts one certificate alone is served by TLS 1.2 and by TLS
// 1.3.
func (s *scan) serves(want pair) bool {
	roots := x509.NewCertPool()
	roots.AddCert(want.leaf)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, err := tls.Dial("tcp", s.n.Addr, &tls.Config{RootCAs: roots, MinVersion: v, MaxVersion: v})
		if err != nil {
			return false
		}
		_ = c.Close()
		s.made++
	}
	return true
}

// oldIsRefused demands that TLS 1.0 and 1.1 are refused for their version, by a client that asks
// nothing else.
func (s *scan) oldIsRefused() {
	s.t.Helper()
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		_, err := tls.Dial("tcp", s.n.Addr, &tls.Config{InsecureSkipVerify: true, MinVersion: v, MaxVersion: v}) // #nosec G402 -- an attacker's
		require.ErrorContains(s.t, err, "protocol version not supported", tls.VersionName(v))
		s.refused++
	}
}

// reads says how often the node's log has a text.
func (s *scan) reads(text string) int { return strings.Count(s.n.Out.String(), text) }

const health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

// healthy asks over an open connection, and leaves it open.
func healthy(t *testing.T, c net.Conn) int {
	t.Helper()
	_, err := c.Write([]byte(health))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

const keptOld = "the configuration is invalid; keeping the old configuration"

func TestReloadedCertificates(t *testing.T) {
	f, now := newFolder(t), newPair(t, "first")
	f.write(t, now.cert, now.key)
	section := fmt.Sprintf("[tls]\nmode = \"files\"\ncert_file = %q\nkey_file = %q\n", filepath.Join(f.links, "cert.pem"), filepath.Join(f.links, "key.pem"))
	d := deploy(t, inMemory, section)
	s := &scan{t: t, n: d.serve(t)}
	require.True(t, s.serves(now))
	s.oldIsRefused()
	held, err := tls.Dial("tcp", s.n.Addr, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- its certificate will be gone
	require.NoError(t, err)
	defer held.Close()
	require.Equal(t, 200, healthy(t, held))
	hangup := func(t *testing.T) { require.NoError(t, s.n.Cmd.Process.Signal(syscall.SIGHUP)) }
	told := func(count int) func() bool { return func() bool { return s.reads(keptOld) == count } }
	within := func(t *testing.T, what func() bool) {
		t.Helper()
		require.Eventually(t, what, 15*time.Second, 10*time.Millisecond)
	}

	ways := []struct {
		name string
		tell func(t *testing.T)
	}{
		{"the watch of its folder", f.relink}, // the first, for it takes as long as the node looks by itself after its start
		{"SIGHUP", hangup},
		{"grantor reload", func(t *testing.T) {
			out, err := exec.Command(s.n.Cmd.Path, "reload", "--pid", fmt.Sprint(s.n.Cmd.Process.Pid)).CombinedOutput() // #nosec G204 -- a program that this test built
			require.NoError(t, err, string(out))
		}},
	}
	for _, way := range ways {
		t.Run("V-37 a new certificate is served after "+way.name+", and TLS 1.0 and 1.1 stay refused", func(t *testing.T) {
			next := newPair(t, way.name)
			f.write(t, next.cert, next.key)
			require.True(t, s.serves(now))
			way.tell(t)
			within(t, func() bool { return s.serves(next) })
			require.False(t, s.serves(now), "the old certificate is gone")
			s.oldIsRefused()
			now = next
		})
	}
	broken := map[string][2][]byte{"whose key is another's": {now.cert, newPair(t, "other").key}, "that is empty": {{}, {}}, "that was written by half": {now.cert, now.key[:len(now.key)/2]}}
	count := 0
	for name, files := range broken {
		t.Run("V-37 S-62 a pair "+name+" changes nothing, and is logged once", func(t *testing.T) {
			count++
			f.write(t, files[0], files[1])
			hangup(t)
			within(t, told(count))
			hangup(t)
			time.Sleep(200 * time.Millisecond) // by then it has looked again
			require.True(t, told(count)(), "one error for one mistake")
			require.True(t, s.serves(now))
			s.oldIsRefused()
		})
	}
	t.Run("V-37 a configuration that drops [tls] does not drop TLS", func(t *testing.T) {
		f.write(t, now.cert, now.key)
		text, err := os.ReadFile(d.config)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(d.config, []byte(strings.Replace(string(text), section, "", 1)), 0o600))
		hangup(t)
		within(t, func() bool { return s.reads("tls.mode") > 0 })
		require.True(t, s.serves(now))
		s.oldIsRefused()
		plain := dialNode(t, s.n)
		_, err = plain.Write([]byte(health))
		require.NoError(t, err)
		require.Contains(t, readAll(t, plain), "400 Bad Request", "no plain HTTP there")
	})
	t.Run("V-37 a connection that was open all the time goes on", func(t *testing.T) {
		require.Equal(t, 200, healthy(t, held))
	})
	if t.Failed() {
		return
	}
	figure(t, "V-37", fmt.Sprintf("%d reloads with a new certificate (watch, SIGHUP, grantor reload): served to TLS 1.2 and 1.3; %d broken pairs: the old one goes on, %d errors logged; "+
		"a dropped [tls]: TLS goes on; TLS 1.0 and 1.1 before and after each: %d of %d refused", len(ways), len(broken), s.reads(keptOld), s.refused, s.refused), "refused")
}
