// Package config is the shape of config.toml: its keys, their defaults, and every mistake that
// files, the environment and flags can contain, reported together with their places. It is the
// only package that knows TOML. The comments of config.toml explain the keys, and the fields here
// repeat none: docs/reference/config.md is written from them.
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
	Issuer         string   `toml:"issuer"`
	Listen         string   `toml:"listen"`
	Store          string   `toml:"store"`
	TrustedProxies []string `toml:"trusted_proxies"`
	Include        []string `toml:"include"`

	TLS    TLS    `toml:"tls"`
	Server Server `toml:"server"`
	Redis  Redis  `toml:"redis"`
	Tokens Tokens `toml:"tokens"`
	Keys   Keys   `toml:"keys"`

	Scopes  map[string]ScopeEntry  `toml:"scopes"`
	Clients []clients.Registration `toml:"clients"`
	Issuers []TrustedIssuer        `toml:"trusted_issuers"`

	Grants Grants `toml:"grants"`
	Users  Users  `toml:"users"`
	Hooks  Hooks  `toml:"hooks"`

	Limits  Limits          `toml:"limits"`
	DPoP    DPoP            `toml:"dpop"`
	Feed    Feed            `toml:"feed"`
	Log     Log             `toml:"log"`
	Audit   Audit           `toml:"audit"`
	Metrics MetricsListener `toml:"metrics"`
	Tracing Tracing         `toml:"tracing"`
	Admin   Admin           `toml:"admin"`
	CORS    CORS            `toml:"cors"`

	Metadata Metadata `toml:"metadata"`

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

// Server says how the process stops.
type Server struct {
	ShutdownDelay   time.Duration `toml:"shutdown_delay"`
	ShutdownTimeout time.Duration `toml:"shutdown_timeout"`
	HTTP1           bool          `toml:"http1"`
}

// Redis says how Redis is reached, which stores the tokens.
type Redis struct {
	Mode             string        `toml:"mode"`
	URL              SecretText    `toml:"url"`
	Addrs            []string      `toml:"addrs"`
	Master           string        `toml:"master"`
	Username         string        `toml:"username"`
	Password         SecretText    `toml:"password"`
	SentinelUsername string        `toml:"sentinel_username"`
	SentinelPassword SecretText    `toml:"sentinel_password"`
	TLS              bool          `toml:"tls"`
	CAFile           string        `toml:"ca_file"`
	CertFile         string        `toml:"cert_file"`
	KeyFile          string        `toml:"key_file"`
	DB               int           `toml:"db"`
	Prefix           string        `toml:"prefix"`
	Timeout          time.Duration `toml:"timeout"`
	WaitReplicas     int           `toml:"wait_replicas"`
	WaitMissing      string        `toml:"wait_missing"`
	WaitTimeout      time.Duration `toml:"wait_timeout"`
}

// Tokens says how long tokens and sessions last, and their format.
type Tokens struct {
	AccessTTL     time.Duration `toml:"access_ttl"`
	RefreshTTL    time.Duration `toml:"refresh_ttl"`
	RefreshMaxTTL time.Duration `toml:"refresh_max_ttl"`
	AccessFormat  string        `toml:"access_token_format"`
	SigningAlg    string        `toml:"signing_alg"`
	RetryWindow   string        `toml:"retry_window"`
	NotBefore     time.Time     `toml:"not_before"`
	AudienceNames []string      `toml:"audience_names"`
}

// Keys says how the signing keys of JWT access tokens are kept.
type Keys struct {
	EncryptionKey SecretText    `toml:"encryption_key"`
	Previous      []SecretText  `toml:"previous_encryption_keys"`
	RotateEvery   time.Duration `toml:"rotate_every"`
}

// TrustedIssuer is a platform whose JWTs authenticate clients (workload identity); Issuer may be a
// trust domain of SPIFFE.
type TrustedIssuer struct {
	Issuer    string `toml:"issuer"`
	JWKSURI   string `toml:"jwks_uri"`
	CAFile    string `toml:"ca_file"`
	TokenFile string `toml:"token_file"`
}

// ScopeEntry is one entry of [scopes].
type ScopeEntry struct {
	Description string   `toml:"description"`
	Resource    string   `toml:"resource"`
	JWTTyp      string   `toml:"jwt_typ"`
	Implies     []string `toml:"implies"`
	Claims      []string `toml:"claims"`
}

// Grants enables grants that are off by default.
type Grants struct {
	Password bool `toml:"password"`
}

// Hooks are questions that Grantor asks an application.
type Hooks struct {
	Claims ClaimsHook `toml:"claims"`
}

// ClaimsHook is asked for claims of each token that is issued.
type ClaimsHook struct {
	URL     string        `toml:"url"`
	Secret  SecretText    `toml:"secret"`
	Timeout time.Duration `toml:"timeout"`
}

// Limits are rate limits and lockout. -1 is off.
type Limits struct {
	PasswordFailures           int           `toml:"password_failures"`
	PasswordFailuresPerAddress int           `toml:"password_failures_per_address"`
	Window                     time.Duration `toml:"window"`
	ClientFailures             int           `toml:"client_failures"`
	RequestsPerSecond          int           `toml:"requests_per_second"`
	SessionsPerUser            int           `toml:"sessions_per_user"`
	IPv6Prefix                 int           `toml:"ipv6_prefix"`
	AssertionMaxTTL            time.Duration `toml:"assertion_max_ttl"`
	Registrations              int           `toml:"registrations"`
	RegistrationsPerHour       int           `toml:"registrations_per_hour"`
}

// Feed is the revocation feed, by which verifiers check tokens by themselves.
type Feed struct {
	Lease time.Duration `toml:"lease"`
}

// Log says what is logged to standard error.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// Audit says where the trail of security events goes.
type Audit struct {
	Output string `toml:"output"`
}

// MetricsListener is the operator's listener.
type MetricsListener struct {
	Listen string   `toml:"listen"`
	Hosts  []string `toml:"hosts"`
	PProf  bool     `toml:"pprof"`

	PerClient []string `toml:"per_client"`
}

// Tracing says where spans go.
type Tracing struct {
	Endpoint string `toml:"otlp_endpoint"`
}

// Admin is the listener of registration (RFC 7591) and of the admin API.
type Admin struct {
	Listen  string  `toml:"listen"`
	URL     string  `toml:"url"`
	Console Console `toml:"console"`
}

// Console is the console in the browser, on the admin listener.
type Console struct {
	Enabled    bool          `toml:"enabled"`
	UserHeader string        `toml:"user_header"`
	Proxies    []string      `toml:"proxies"`
	Idle       time.Duration `toml:"idle_timeout"`
	Max        time.Duration `toml:"max_session"`
}

// CORS says which web pages may call Grantor from a browser.
type CORS struct {
	Origins []string `toml:"origins"`
	Headers []string `toml:"headers"`
}

// Metadata is what the operator adds to the server's metadata (RFC 8414 §2).
type Metadata struct {
	Preset string         `toml:"preset"`
	Extra  map[string]any `toml:"extra"`
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
		Hooks: Hooks{Claims: ClaimsHook{Timeout: 2 * time.Second}},
		Limits: Limits{PasswordFailures: 5, PasswordFailuresPerAddress: 100, Window: 15 * time.Minute, AssertionMaxTTL: 5 * time.Minute, ClientFailures: 20, RequestsPerSecond: -1, SessionsPerUser: 50, IPv6Prefix: 64,
			Registrations: 1000, RegistrationsPerHour: 600},
		DPoP:  DPoP{Nonce: NonceOff, NonceLifetime: 5 * time.Minute},
		Feed:  Feed{Lease: time.Second},
		Log:   Log{Level: "info", Format: "auto"},
		Audit: Audit{Output: "stdout"},
		Admin: Admin{Console: Console{Idle: 30 * time.Minute, Max: 12 * time.Hour}},
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

// TrustedIssuers returns the issuer of each of [[trusted_issuers]].
func (c *Config) TrustedIssuers() (list []string) {
	for _, t := range c.Issuers {
		list = append(list, t.Issuer)
	}
	return list
}

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
