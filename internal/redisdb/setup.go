package redisdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-redis/redis/v8"
)

// SetupError says whether the error of a first command is one that waiting cannot mend, such as a
// wrong password or an unknown authority, and what mends it. Sentinels are asked one by one,
// because go-redis drops their answers.
func (d *DB) SetupError(ctx context.Context, err error) (cure string, hopeless bool) {
	if cure, hopeless = setupError(err); hopeless {
		return cure, true
	}
	if cure, hopeless = setupError(d.greet(ctx)); hopeless || d.cfg.Mode != Sentinel {
		return cure, hopeless
	}
	for _, addr := range d.cfg.Addrs {
		if cure, hopeless = setupError(d.askSentinel(ctx, addr)); hopeless {
			return "Sentinel " + addr + ": " + cure, true
		}
	}
	return "", false
}

// greet makes a TLS handshake and reads: a peer that refuses our certificate says so only then (TLS
// 1.3). A client that writes first may find the connection closed instead.
func (d *DB) greet(ctx context.Context) error {
	addrs, tlsConfig := d.cfg.Addrs, (*tls.Config)(nil)
	if d.cfg.Mode == Single {
		o := d.single.client.Options()
		addrs, tlsConfig = []string{o.Addr}, o.TLSConfig
	} else if t, err := d.cfg.tls(); err == nil {
		tlsConfig = t
	}
	if tlsConfig == nil {
		return nil
	}
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: d.cfg.Timeout}, Config: tlsConfig}
	for _, addr := range addrs {
		c, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(d.cfg.Timeout))
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			return err
		}
	}
	return nil
}

// askSentinel asks one Sentinel for the primary; it returns why it does not tell.
func (d *DB) askSentinel(ctx context.Context, addr string) error {
	tlsConfig, err := d.cfg.tls()
	if err != nil {
		return err
	}
	s := redis.NewSentinelClient(&redis.Options{Addr: addr, Username: d.cfg.SentinelUsername, Password: d.cfg.SentinelPassword, TLSConfig: tlsConfig,
		PoolSize: 1, MaxRetries: -1, DialTimeout: d.cfg.Timeout, ReadTimeout: d.cfg.Timeout, WriteTimeout: d.cfg.Timeout})
	defer s.Close()
	err = s.GetMasterAddrByName(endless(ctx), d.cfg.Master).Err()
	if err == redis.Nil { //nolint:errorlint // v8 never wraps it
		return errMaster
	}
	return err
}

var errMaster = errors.New("no such master")

const (
	cureTLS         = "look at ca_file, and at the name in the certificate of Redis"
	cureCertificate = "Redis wants a client's certificate that it trusts: cert_file and key_file in [redis]"
	cureRights      = "see docs/operate/redis.md for the rights that Grantor needs"
)

func setupError(err error) (cure string, hopeless bool) {
	var unverified *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	if wrapped, ok := errors.AsType[*answerError](err); ok {
		return setupReply(wrapped.text)
	}
	switch text, answered := reply(err); {
	case err == nil:
		return "", false
	case answered:
		return setupReply(text)
	case errors.Is(err, errMaster):
		return "master in [redis] is none that this Sentinel knows", true
	case errors.As(err, &unverified), errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.HostnameError)):
		return cureTLS, true
	case errors.As(err, &plain):
		return "Redis does not speak TLS on this port: use redis:// and tls = false, or another port", true
	}
	return setupAlert(err)
}

// setupAlert knows what a TLS peer says when it does not trust us.
func setupAlert(err error) (cure string, hopeless bool) {
	_, alert, found := strings.Cut(err.Error(), "remote error: tls: ")
	refused := []string{"certificate required", "bad certificate", "unknown certificate authority", "unknown certificate", "expired certificate", "revoked certificate",
		"unsupported certificate", "error decrypting message", "handshake failure"}
	return cureCertificate, found && slices.ContainsFunc(refused, func(text string) bool { return strings.HasPrefix(alert, text) })
}

// setupReply knows what Redis answers to a first command that it will never accept.
func setupReply(text string) (cure string, hopeless bool) {
	switch {
	case code(text) == "WRONGPASS", code(text) == "NOAUTH", strings.HasPrefix(text, "ERR invalid password"),
		strings.HasPrefix(text, "ERR AUTH"), strings.HasPrefix(text, "ERR Client sent AUTH"):
		return "look at username and password in [redis]", true
	case code(text) == "NOPERM":
		return cureRights, true
	case strings.HasPrefix(text, "ERR DB index"), strings.HasPrefix(text, "ERR invalid DB index"):
		return "look at db in [redis]", true
	case strings.Contains(text, "cluster support disabled"):
		return `this Redis is no Cluster: mode = "single"`, true
	}
	return "", false
}
