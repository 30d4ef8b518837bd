// Package config is the shape of config.toml: its keys, their defaults, and every mistake that
// files, the environment and flags can contain, reported together with their places. It is the
// only package that knows TOML. The field comments are the reference.
package config

import (
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// SecretText is a text that is never shown. Wherever a key k is a SecretText, k_file names a file
// that holds it; one newline at its end is cut.
type SecretText string

// String keeps the secret out of logs and listings.
func (s SecretText) String() string {
	if s == "" {
		return ""
	}
	return "[set]"
}

// Config is what is in force after flags, environment, files and defaults.
type Config struct {
	Issuer         string   `toml:"issuer"`          // who issues the tokens: the URL that clients reach this server by (RFC 8414 §2); https except on loopback
	Listen         string   `toml:"listen"`          // host:port
	Store          string   `toml:"store"`           // "redis", or "memory": one node, lost at exit
	TrustedProxies []string `toml:"trusted_proxies"` // addresses and networks whose X-Forwarded-For is trusted
	Include        []string `toml:"include"`         // more files, relative to this one; wildcards allowed

	TLS    TLS    `toml:"tls"`
	Server Server `toml:"server"`
	Redis  Redis  `toml:"redis"`
	Tokens Tokens `toml:"tokens"`
	Keys   Keys   `toml:"keys"`

	Scopes  map[string]ScopeEntry  `toml:"scopes"`  // every scope that exists
	Clients []clients.Registration `toml:"clients"` // who may ask
	Issuers []TrustedIssuer        `toml:"trusted_issuers"`

	Grants Grants `toml:"grants"`
	Users  Users  `toml:"users"`

	Limits  Limits          `toml:"limits"`
	Log     Log             `toml:"log"`
	Audit   Audit           `toml:"audit"`
	Metrics MetricsListener `toml:"metrics"`
	Tracing Tracing         `toml:"tracing"`
	Admin   Admin           `toml:"admin"`
	CORS    CORS            `toml:"cors"`

	Trial bool     `toml:"-"` // --trial
	Files []string `toml:"-"` // read, in order

	SecretFiles []string `toml:"-"` // that k_file keys named

	catalogue *scopes.Catalogue
	clients   []*clients.Client
	users     []users.ConfigUser
	userScope scopes.Rules
	origin    map[string]string // key → where its value came from
	where     map[string]*tomlFile
	problems  Errors
	warnings  []string
	checked   bool // its values were held against the rules
	broken    bool // the syntax of a file is wrong, or there is none
}

// TLS says how connections are protected.
type TLS struct {
	Mode     string `toml:"mode"`      // "files": Grantor serves TLS; "proxy": a proxy does; required off loopback
	CertFile string `toml:"cert_file"` // PEM
	KeyFile  string `toml:"key_file"`  // PEM
}

// Server says how the process stops.
type Server struct {
	ShutdownDelay   time.Duration `toml:"shutdown_delay"`   // unready, but serving, so that balancers turn away first
	ShutdownTimeout time.Duration `toml:"shutdown_timeout"` // then requests in flight may end
	HTTP1           bool          `toml:"http1"`            // plain requests of the public listener are read by http1, the others by net/http
}

// Redis says how Redis is reached, which stores the tokens.
type Redis struct {
	Mode             string        `toml:"mode"`   // "single", "sentinel", "cluster"
	URL              SecretText    `toml:"url"`    // single: redis://host:port/db, rediss://…, unix:///path; it may hold a password
	Addrs            []string      `toml:"addrs"`  // sentinel, cluster: host:port
	Master           string        `toml:"master"` // sentinel: the primary's name
	Username         string        `toml:"username"`
	Password         SecretText    `toml:"password"`
	SentinelUsername string        `toml:"sentinel_username"`
	SentinelPassword SecretText    `toml:"sentinel_password"`
	TLS              bool          `toml:"tls"`
	CAFile           string        `toml:"ca_file"`   // PEM; "": the system's
	CertFile         string        `toml:"cert_file"` // PEM, shown to a Redis that asks for it; with key_file
	KeyFile          string        `toml:"key_file"`
	DB               int           `toml:"db"`
	Prefix           string        `toml:"prefix"`        // before every key; no braces
	Timeout          time.Duration `toml:"timeout"`       // of one command
	WaitReplicas     int           `toml:"wait_replicas"` // replicas that must confirm a revocation, where there ever were any; 0: never wait
	WaitMissing      string        `toml:"wait_missing"`  // "refuse", "degrade": what a write is that fewer confirm
	WaitTimeout      time.Duration `toml:"wait_timeout"`
}

// Tokens says how long tokens and sessions last, and their format.
type Tokens struct {
	AccessTTL     time.Duration `toml:"access_ttl"`
	RefreshTTL    time.Duration `toml:"refresh_ttl"`         // idle: counted from the last use
	RefreshMaxTTL time.Duration `toml:"refresh_max_ttl"`     // absolute: counted from the login
	AccessFormat  string        `toml:"access_token_format"` // "opaque", or "jwt" (RFC 9068)
	SigningAlg    string        `toml:"signing_alg"`         // of JWT access tokens: "ES256", "EdDSA", "RS256"
	RetryWindow   string        `toml:"retry_window"`        // how long a repeated refresh gets the same answer; "": min(30s, access_ttl / 4); "0s": never
	NotBefore     time.Time     `toml:"not_before"`          // nothing older is active: set after restoring a backup
}

// Keys says how the signing keys of JWT access tokens are kept.
type Keys struct {
	EncryptionKey SecretText    `toml:"encryption_key"`           // wraps them in Redis: 32 random characters at least
	Previous      []SecretText  `toml:"previous_encryption_keys"` // earlier ones
	RotateEvery   time.Duration `toml:"rotate_every"`
}

// TrustedIssuer is a platform whose JWTs authenticate clients (workload identity).
type TrustedIssuer struct {
	Issuer    string `toml:"issuer"`
	JWKSURI   string `toml:"jwks_uri"` // "": discovery
	CAFile    string `toml:"ca_file"`
	TokenFile string `toml:"token_file"`
}

// ScopeEntry is one entry of [scopes].
type ScopeEntry struct {
	Description string   `toml:"description"`
	Resource    string   `toml:"resource"` // the audience of tokens with this scope (RFC 8707)
	Implies     []string `toml:"implies"`
}

// Grants enables grants that are off by default.
type Grants struct {
	Password bool `toml:"password"` // RFC 9700 §2.4 says MUST NOT; first-party apps that need it opt in here and per client
}

// Users says who may use the password grant.
type Users struct {
	Source string      `toml:"source"` // "config", "redis", "sql", "http"
	Scope  string      `toml:"scope"`  // the most that a token may carry of a user without a scope of their own; "": nothing
	SQL    SQLSource   `toml:"sql"`
	HTTP   HTTPSource  `toml:"http"`
	Config []UserEntry `toml:"config"`
}

// SQLSource reads the table of an existing application; nothing is ever written to it.
type SQLSource struct {
	Driver  string     `toml:"driver"` // "postgres", "mysql", "sqlite"
	DSN     SecretText `toml:"dsn"`
	Query   string     `toml:"query"`   // finds by login name; one parameter, columns id, username, password
	Recheck string     `toml:"recheck"` // finds by id, at each refresh
}

// HTTPSource asks an application over HTTP.
type HTTPSource struct {
	URL    string     `toml:"url"`    // POST {username, password} → 200 {sub, username, scope} or 401
	Secret SecretText `toml:"secret"` // signs the request
}

// UserEntry is one entry of [[users.config]].
type UserEntry struct {
	ID           string `toml:"id"` // immutable: the token's sub
	Username     string `toml:"username"`
	PasswordHash string `toml:"password_hash"` // argon2id, bcrypt, and what Django writes
	Scope        string `toml:"scope"`
	Disabled     bool   `toml:"disabled"`
}

// Limits are rate limits and lockout. -1 is off.
type Limits struct {
	PasswordFailures           int           `toml:"password_failures"`             // of one user within the window: then refused without hashing
	PasswordFailuresPerAddress int           `toml:"password_failures_per_address"` // of one address within the window: then 429
	Window                     time.Duration `toml:"window"`
	ClientFailures             int           `toml:"client_failures"`        // wrong credentials of one client from one address, a minute; right ones always pass
	RequestsPerSecond          int           `toml:"requests_per_second"`    // of one client; of a public one at each address
	IPv6Prefix                 int           `toml:"ipv6_prefix"`            // addresses of IPv6 with so many bits in common count as one
	AssertionMaxTTL            time.Duration `toml:"assertion_max_ttl"`      // how far ahead the exp of a client's own assertion may lie
	Registrations              int           `toml:"registrations"`          // clients that one client may have registered (RFC 7591)
	RegistrationsPerHour       int           `toml:"registrations_per_hour"` // of one client
}

// Log says what is logged to standard error.
type Log struct {
	Level  string `toml:"level"`  // "debug", "info", "warn", "error"
	Format string `toml:"format"` // "auto": text on a terminal, else json; "text"; "json"
}

// Audit says where the trail of security events goes.
type Audit struct {
	Output string `toml:"output"` // "stdout", a file's path, "redis": a stream, or "": nowhere
}

// MetricsListener is the operator's listener.
type MetricsListener struct {
	Listen string   `toml:"listen"` // host:port of /metrics; "": off
	Hosts  []string `toml:"hosts"`  // names that it is asked for by, beside addresses, localhost and the name in listen
	PProf  bool     `toml:"pprof"`  // /debug/pprof beside it
}

// Tracing says where spans go.
type Tracing struct {
	Endpoint string `toml:"otlp_endpoint"` // URL that takes OTLP over HTTP; "": off
}

// Admin is the listener of registration (RFC 7591) and of the admin API.
type Admin struct {
	Listen string `toml:"listen"` // host:port; "": off; never the public one
	URL    string `toml:"url"`    // as clients reach it; "": the address in listen
}

// CORS says which web pages may call Grantor from a browser.
type CORS struct {
	Origins []string `toml:"origins"` // "https://app.example.com"
	Headers []string `toml:"headers"` // that pages may send, beyond those always allowed
}

// Default returns the values of absent keys.
func Default() *Config {
	return &Config{
		Issuer: "http://127.0.0.1:8080",
		Listen: "127.0.0.1:8080",
		Store:  StoreRedis,
		Server: Server{ShutdownDelay: 5 * time.Second, ShutdownTimeout: 15 * time.Second, HTTP1: true},
		Redis: Redis{Mode: "single", Prefix: "grantor:", Timeout: 500 * time.Millisecond,
			WaitReplicas: 1, WaitMissing: "refuse", WaitTimeout: 100 * time.Millisecond},
		Tokens: Tokens{AccessTTL: 15 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RefreshMaxTTL: 90 * 24 * time.Hour,
			AccessFormat: clients.FormatOpaque, SigningAlg: "ES256"},
		Keys:  Keys{RotateEvery: 90 * 24 * time.Hour},
		Users: Users{Source: "config"},
		Limits: Limits{PasswordFailures: 5, PasswordFailuresPerAddress: 100, Window: 15 * time.Minute, AssertionMaxTTL: 5 * time.Minute, ClientFailures: 20, RequestsPerSecond: -1, IPv6Prefix: 64,
			Registrations: 1000, RegistrationsPerHour: 600},
		Log:   Log{Level: "info", Format: "auto"},
		Audit: Audit{Output: "stdout"},
	}
}

// Values of Store.
const (
	StoreRedis  = "redis"
	StoreMemory = "memory"
)

// Catalogue returns the scopes that exist.
func (c *Config) Catalogue() *scopes.Catalogue { return c.catalogue }

// Registrations returns the clients, checked.
func (c *Config) Registrations() []*clients.Client { return c.clients }

// ConfigUsers returns the users of [[users.config]], checked.
func (c *Config) ConfigUsers() []users.ConfigUser { return c.users }

// UserScope returns the most that a token may carry of a user without a scope of their own.
func (c *Config) UserScope() scopes.Rules { return c.userScope }

// LongestSession returns the longest session that any client here can have.
func (c *Config) LongestSession() time.Duration {
	longest := c.Tokens.RefreshMaxTTL
	for _, cl := range c.clients {
		longest = max(longest, time.Duration(cl.MaxTTL))
	}
	return longest
}

// DemoUsers returns the ids of users with the published demo password.
func (c *Config) DemoUsers() map[string]bool {
	found := map[string]bool{}
	for _, u := range c.users {
		if u.PasswordHash == demoUserHash {
			found[u.ID] = true
		}
	}
	return found
}

// Demo says whether a client or user of the shipped config.toml is there, with a published
// secret.
func (c *Config) Demo() bool {
	if len(c.DemoUsers()) > 0 {
		return true
	}
	for _, cl := range c.clients {
		if cl.Demo {
			return true
		}
	}
	return false
}
