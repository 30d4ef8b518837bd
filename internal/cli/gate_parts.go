package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/gate"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/middleware"
)

// gateVerifier asks the issuer about tokens, and unless --live=false follows its revocation feed:
// then it asks once about each token.
func (p Program) gateVerifier(f *gateFlags, log *slog.Logger) (v middleware.Verifier, live *middleware.Follower, err error) {
	id, secret, err := p.gateCredentials(f)
	if err != nil {
		return nil, nil, err
	}
	var client *http.Client
	if f.caFile != "" {
		if client, err = parts.HTTPClient(f.caFile, askTimeout); err != nil {
			return nil, nil, err
		}
	}
	cfg := middleware.IntrospectionConfig{Issuer: f.issuer, ClientID: id, ClientSecret: secret, AllowInsecureHTTP: f.insecureIssuer}
	if client != nil {
		cfg.Transport = client.Transport
	}
	if f.live {
		live, err = middleware.NewFollower(middleware.FollowerConfig{Issuer: f.issuer, ClientID: id, ClientSecret: secret, MaxLease: f.maxLease,
			HTTPClient: client, Log: log, AllowInsecureHTTP: f.insecureIssuer})
		if err != nil {
			return nil, nil, ofFlags(err)
		}
		cfg.Follow = live
	}
	if v, err = middleware.NewIntrospection(cfg); err != nil {
		return nil, nil, ofFlags(err)
	}
	return v, live, nil
}

// ofFlags names the flags in the place of what a program in Go would set.
func ofFlags(err error) error {
	names := strings.NewReplacer("middleware: ", "", "see AllowInsecureHTTP", "see --insecure-issuer", "MaxLease", "--max-lease")
	return errors.New("--issuer: " + names.Replace(err.Error()))
}

// observe shows how the feed does.
func observe(m *gate.Metrics, live *middleware.Follower) {
	if live == nil {
		return
	}
	m.Gauge("grantor_gate_feed_fresh", "1: checks are answered from memory; 0: each asks the issuer.", func() float64 {
		if live.Stats().Fresh {
			return 1
		}
		return 0
	})
	m.Gauge("grantor_gate_feed_age_seconds", "Time since the poll was sent that the lease rests on, in seconds.", func() float64 { return live.Stats().Age.Seconds() })
	m.Gauge("grantor_gate_feed_ended_names", "Ended names that are remembered.", func() float64 { return float64(live.Stats().Entries) })
	m.Counter("grantor_gate_answers_from_memory_total", "Checks that asked nobody.", func() float64 { return float64(live.Stats().Hits) })
	m.Counter("grantor_gate_questions_total", "Checks that asked the issuer.", func() float64 { return float64(live.Stats().Asks) })
	m.Counter("grantor_gate_feed_resets_total", "Times that all remembered answers were dropped.", func() float64 { return float64(live.Stats().Resets) })
	m.Counter("grantor_gate_feed_polls_total", "Polls of the revocation feed.", func() float64 { return float64(live.Stats().Polls) })
	m.Counter("grantor_gate_feed_poll_failures_total", "Polls that failed.", func() float64 { return float64(live.Stats().Failures) })
}

func (p Program) gateCredentials(f *gateFlags) (id, secret string, err error) {
	if id = f.clientID; id == "" {
		id = p.variable("GRANTOR_CLIENT_ID")
	}
	secret = p.variable("GRANTOR_CLIENT_SECRET")
	if f.secretFile != "" {
		text, err := os.ReadFile(f.secretFile)
		if err != nil {
			return "", "", fmt.Errorf("--client-secret-file: %w", err)
		}
		if text, err = config.WithoutBOM(text); err != nil {
			return "", "", fmt.Errorf("--client-secret-file: the file %w", err)
		}
		secret = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	}
	switch {
	case id == "":
		return "", "", errors.New("say --client-id ID, or GRANTOR_CLIENT_ID: the client that asks the issuer about tokens")
	case secret == "":
		return "", "", errors.New("say --client-secret-file FILE, or GRANTOR_CLIENT_SECRET: the secret of " + id)
	}
	return id, secret, nil
}

// nonceKey is the secret of nonces; nil without a file. A line break at its end does not count.
func (f *gateFlags) nonceKey() ([]byte, error) {
	if f.dpopNonceKeyFile == "" {
		return nil, nil
	}
	if f.dpopRequest == "" {
		return nil, errors.New("--dpop-nonce-key-file needs --dpop-request")
	}
	key, err := os.ReadFile(f.dpopNonceKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--dpop-nonce-key-file: %w", err)
	}
	if key = bytes.TrimRight(key, "\r\n"); len(key) < 32 {
		return nil, errors.New("--dpop-nonce-key-file: the secret has fewer than 32 bytes; openssl rand -base64 33 makes one")
	}
	return key, nil
}

// identityKeys are those of Grantor-Identity: from files, or a fresh one.
func (f *gateFlags) identityKeys() (keys []gate.Key, err error) {
	if f.identity != "jwt" {
		return nil, nil
	}
	for _, name := range f.keyFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--identity-key-file: %w", err)
		}
		k, err := gate.ReadKey(text)
		if err != nil {
			return nil, fmt.Errorf("--identity-key-file %s: %w", name, err)
		}
		keys = append(keys, k)
	}
	if len(keys) > 0 {
		return keys, nil
	}
	k, err := gate.GenerateKey(f.keyAlg)
	if err != nil {
		return nil, fmt.Errorf("--identity-alg: %w", err)
	}
	return []gate.Key{k}, nil
}
