package redisdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// Pool and retry settings: v8's own let requests hang for four seconds under overload.
const (
	poolSize    = 64
	minIdle     = 4
	poolTimeout = 250 * time.Millisecond
	dialTimeout = time.Second
	minBackoff  = 5 * time.Millisecond
	maxBackoff  = 50 * time.Millisecond
	idleTimeout = time.Minute // below what balancers and servers allow, and soon enough after a burst
	idleCheck   = 30 * time.Second
	retries     = 1 // every command is idempotent
)

func (c Config) singleOptions(tlsConfig *tls.Config) (*redis.Options, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil { // the URL may hold a password: it is not repeated
		return nil, errors.New(`redis: url must be "redis://host:port/db", "rediss://…" or "unix:///path"`)
	}
	if _, port, err := net.SplitHostPort(o.Addr); o.Network == "tcp" && err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("redis: url must have a port between 1 and 65535")
		}
	}
	if c.Username != "" {
		o.Username = c.Username
	}
	if c.Password != "" {
		o.Password = c.Password
	}
	if o.Username != "" && o.Password == "" {
		return nil, errors.New("redis: a username needs a password")
	}
	if c.DB != 0 {
		o.DB = c.DB
	}
	if tlsConfig != nil && o.Network == "unix" {
		return nil, errors.New("redis: a unix socket takes no tls, no ca_file and no cert_file")
	}
	if tlsConfig != nil {
		o.TLSConfig = tlsConfig // dialing fills in the host's name
	}
	o.MaxRetries, o.MinRetryBackoff, o.MaxRetryBackoff = retries, minBackoff, maxBackoff
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, c.Timeout, c.Timeout
	o.PoolSize, o.MinIdleConns, o.PoolTimeout, o.PoolFIFO = poolSize, minIdle, poolTimeout, false
	o.IdleTimeout, o.IdleCheckFrequency, o.MaxConnAge = idleTimeout, idleCheck, 0
	return o, nil
}

// sentinelOptions asks the Sentinels one after the other and holds up all dialing meanwhile, so
// dialing has less patience than elsewhere.
func (c Config) sentinelOptions(tlsConfig *tls.Config) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: c.Master, SentinelAddrs: c.Addrs, Dialer: dialTo(tlsConfig, c.Timeout),
		SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		Username: c.Username, Password: c.Password, DB: c.DB, TLSConfig: tlsConfig,
		MaxRetries: retries, MinRetryBackoff: minBackoff, MaxRetryBackoff: maxBackoff,
		DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
		PoolSize: poolSize, PoolTimeout: poolTimeout,
		IdleTimeout: idleTimeout, IdleCheckFrequency: idleCheck,
	}
}

// dialTo returns a dialer; see noteDialed.
func dialTo(tlsConfig *tls.Config, timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		dialer := &net.Dialer{Timeout: timeout, KeepAlive: 5 * time.Minute}
		if tlsConfig == nil {
			conn, err = dialer.DialContext(ctx, network, addr)
		} else {
			conn, err = (&tls.Dialer{NetDialer: dialer, Config: tlsConfig}).DialContext(ctx, network, addr)
		}
		if last, ok := ctx.Value(dialedKey{}).(*string); ok && err == nil {
			*last = addr
		}
		return conn, err
	}
}

type dialedKey struct{}

// noteDialed notes to which server a Sentinel's client connected last. v8 dials the Sentinels and
// then the server by one dialer, so the last one counts. It reads its options at each dial; the
// client must not keep idle connections, which are dialed before this.
func noteDialed(client *redis.Client, dialed *atomic.Value) *redis.Client {
	o := client.Options()
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var last string
		conn, err := dial(context.WithValue(ctx, dialedKey{}, &last), network, addr)
		if err == nil {
			dialed.Store(last)
		}
		return conn, err
	}
	return client
}

func (c Config) tls() (*tls.Config, error) {
	if !c.TLS && c.CAFile == "" && c.CertFile == "" && c.KeyFile == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CertFile != "" || c.KeyFile != "" {
		if _, err := c.certificate(nil); err != nil {
			return nil, err
		}
		t.GetClientCertificate = c.certificate // one that was renewed is shown by the next connection
	}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("redis: ca_file: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("redis: ca_file holds no PEM certificate")
	}
	return t, nil
}

func (c Config) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("redis: cert_file and key_file: %w", err)
	}
	return &pair, nil
}

// quieten sends what go-redis would print on stderr to slog's default logger, at debug level. v8
// keeps its logger in a variable of the process, so this is done once.
var quieten = sync.OnceFunc(func() { redis.SetLogger(debugLog{}) })

type debugLog struct{}

// Printf implements what redis.SetLogger takes.
func (debugLog) Printf(ctx context.Context, format string, v ...any) {
	if log := slog.Default(); log.Enabled(ctx, slog.LevelDebug) {
		log.DebugContext(ctx, "go-redis", "text", fmt.Sprintf(format, v...))
	}
}
