package gate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/loopback"
)

// Address is where a gate listens.
type Address struct {
	Network string // "tcp" or "unix"
	Name    string // host:port, or a path
	Mode    fs.FileMode
}

// ParseAddress reads host:port, or unix: and a path. mode is octal, as chmod has it: who may ask at
// the socket.
func ParseAddress(text, mode string) (a Address, err error) {
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil || bits == 0 || bits > 0o777 {
		return a, fmt.Errorf("the mode of the socket is octal, such as 660, not %.20q", mode)
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return a, errors.New("the path of a Unix socket begins with /, as in unix:/run/grantor-gate/gate.sock")
		}
		return Address{"unix", path, fs.FileMode(bits)}, nil
	}
	if _, _, err := net.SplitHostPort(text); err != nil {
		return a, errors.New("the address is host:port, or unix:/path")
	}
	return Address{Network: "tcp", Name: text}, nil
}

// Local says whether only this machine can reach the address.
func (a Address) Local() bool {
	host, _, err := net.SplitHostPort(a.Name)
	return a.Network == "unix" || err == nil && loopback.Host(host)
}

// Listen opens the address. A socket that a gate left behind is replaced, one that somebody serves
// is not.
func (a Address) Listen() (net.Listener, error) {
	if a.Network != "unix" {
		return net.Listen(a.Network, a.Name)
	}
	if err := a.clear(); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", a.Name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(a.Name, a.Mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// clear removes a socket where nobody listens.
func (a Address) clear() error {
	info, err := os.Lstat(a.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is no socket", a.Name)
	}
	if c, err := net.Dial("unix", a.Name); err == nil {
		_ = c.Close()
		return fmt.Errorf("%s is served by somebody else", a.Name)
	}
	return os.Remove(a.Name)
}

// Certificate reads what serves TLS, and reads it anew when its file has changed, as when it was
// renewed. A pair that cannot be read changes nothing.
func Certificate(
	certFile, keyFile string, failed func(error),
) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, failed: failed}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c.get, nil
}
