package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// memberFlag is the flag of one member of a client's registration.
type memberFlag struct{ name, member, usage string }

// memberFlags are the flags of create and update, but for those of keys. The member's type says how
// a flag is read.
func memberFlags() []memberFlag {
	return []memberFlag{
		{"name", "client_name", "what people call it"},
		{"grant-type", "grant_types", "client_credentials, password, refresh_token; may be repeated"},
		{"scope", "scope", "what it may ask for; \"orders:*\" allows by wildcard"},
		{"default-scope", "default_scope", "what it gets when it asks for nothing"},
		{"auth-method", "token_endpoint_auth_method",
			"client_secret_basic, client_secret_post, private_key_jwt, none (a public client); absent: basic or post"},
		{"audience", "audience", "aud of its tokens when no granted scope has a resource"},
		{"resource", "resource", "the audience that it is, as a resource server"},
		{"introspect", "introspect", "whose tokens it sees: own, audience, any"},
		{"access-ttl", "access_ttl", "life of its access tokens"},
		{"refresh-ttl", "refresh_ttl", "idle life of a session"},
		{"refresh-max-ttl", "refresh_max_ttl", "absolute life of a session"},
		{"retry-window", "retry_window", "how long a repeated refresh gets the same answer; 0s: never"},
	}
}

// keyFlags are the flags of the ways to prove a client by JWTs: the one that is given replaces the
// others.
func keyFlags() []string { return []string{"jwks", "jwks-uri", "workload-issuer", "workload-subject"} }

// keyMembers are what keyFlags set.
func keyMembers() []string { return []string{"jwks", "jwks_uri", "assertion"} }

// clientEdit is what flags say of a client. Only flags that were given change anything.
type clientEdit struct {
	said     clients.Registration // by the flags
	jwksFile string
	workload clients.Workload
}

func (e *clientEdit) flags(c *cobra.Command) {
	f := c.Flags()
	for _, m := range memberFlags() {
		switch v := e.said.Member(m.member).(type) {
		case *string:
			f.StringVar(v, m.name, "", m.usage)
		case *clients.Method:
			f.StringVar((*string)(v), m.name, "", m.usage)
		case *clients.Sight:
			f.StringVar((*string)(v), m.name, "", m.usage)
		case *[]string:
			f.StringSliceVar(v, m.name, nil, m.usage)
		case *clients.Duration:
			f.Var(durationFlag{v}, m.name, m.usage)
		case **clients.Duration:
			if *v == nil { // create and update share it
				*v = new(clients.Duration)
			}
			f.Var(durationFlag{*v}, m.name, m.usage)
		default:
			panic(fmt.Sprintf("--%s: no flag can be of the type %T", m.name, v)) // every run of a command comes here
		}
	}
	f.StringVar(&e.jwksFile, "jwks", "", "with private_key_jwt: a file with the client's public keys (a JWK Set)")
	f.StringVar(&e.said.JWKSURI, "jwks-uri", "", "with private_key_jwt: where the client publishes its keys (https)")
	f.StringVar(&e.workload.Issuer, "workload-issuer", "",
		"with private_key_jwt: the platform whose tokens prove the client, one of [[trusted_issuers]]")
	f.StringVar(&e.workload.Subject, "workload-subject", "", "with --workload-issuer: the sub of those tokens")
}

// apply writes the flags that were given into a registration, and returns the members that they
// name.
func (e *clientEdit) apply(c *cobra.Command, r *clients.Registration) (named []string) {
	for _, m := range memberFlags() {
		if c.Flags().Changed(m.name) {
			named = append(named, m.member)
		}
	}
	if anyOf(c, keyFlags()) {
		named = append(named, keyMembers()...)
	}
	r.Take(&e.said, named)
	if c.Flags().Changed("auth-method") && r.Method == clients.MethodJWT {
		r.Secrets = nil // such a client has none
	}
	return named
}

func anyOf(c *cobra.Command, flags []string) bool {
	for _, name := range flags {
		if c.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// given says whether a flag of the client itself was given, even with an empty value.
func (e *clientEdit) given(c *cobra.Command) bool {
	for _, m := range memberFlags() {
		if c.Flags().Changed(m.name) {
			return true
		}
	}
	return anyOf(c, keyFlags())
}

// readKeys reads what keyFlags name.
func (e *clientEdit) readKeys() error {
	ways := 0
	for _, text := range []string{e.jwksFile, e.said.JWKSURI, e.workload.Issuer} {
		if text != "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return usageError{errors.New("say one of --jwks, --jwks-uri and --workload-issuer")}
	case (e.workload.Issuer == "") != (e.workload.Subject == ""):
		return usageError{errors.New("--workload-issuer and --workload-subject go together")}
	case e.workload.Issuer != "":
		e.said.Workload = &e.workload
	}
	return e.readKeySet()
}

func (e *clientEdit) readKeySet() error {
	if e.jwksFile == "" {
		return nil
	}
	text, err := readWhole(e.jwksFile)
	if err == nil {
		e.said.JWKS, err = jwt.ParseKeySet(text)
	}
	if err != nil {
		return usageError{fmt.Errorf("--jwks: %w", err)}
	}
	return nil
}

// needsKeys refuses a new client that could never prove itself, before anything is made for it.
func needsKeys(r *clients.Registration, s secretFlags) error {
	switch {
	case r.Method != clients.MethodJWT:
		return nil
	case r.JWKS == nil && r.JWKSURI == "" && r.Workload == nil:
		return usageError{errors.New("private_key_jwt needs the client's public keys: --jwks FILE or --jwks-uri URL; " +
			"or --workload-issuer and --workload-subject for tokens of a platform")}
	case s != secretFlags{}:
		return usageError{errors.New("a client that authenticates by private_key_jwt has no secret")}
	}
	return nil
}
