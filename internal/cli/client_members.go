package cli

import (
	"errors"
	"fmt"
	"slices"

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
		{"grant-type", "grant_types", "client_credentials, password, refresh_token, " + clients.GrantTokenExchange + ", " + clients.GrantJWTBearer + "; may be repeated"},
		{"scope", "scope", "what it may ask for; \"orders:*\" allows by wildcard"},
		{"default-scope", "default_scope", "what it gets when it asks for nothing"},
		{"auth-method", "token_endpoint_auth_method",
			"client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth, self_signed_tls_client_auth, none (a public client); absent: basic or post"},
		{"audience", "audience", "aud of its tokens when no granted scope has a resource"},
		{"resource", "resource", "the audience that it is, as a resource server"},
		{"introspect", "introspect", "whose tokens it sees: own, audience, any"},
		{"allowed-network", "allowed_networks",
			"a network (CIDR) from which it may authenticate; may be repeated; \"\": from everywhere"},
		{"requests-per-second", "requests_per_second",
			"requests a second on all nodes together; 0: [limits] requests_per_second; -1: no limit"},
		{"requests-burst", "requests_burst", "requests at once; 0: as many as --requests-per-second"},
		{"dpop-bound", "dpop_bound_access_tokens", "only requests with a DPoP proof get tokens (RFC 9449)"},
		{"access-ttl", "access_ttl", "life of its access tokens"},
		{"refresh-ttl", "refresh_ttl", "idle life of a session"},
		{"refresh-max-ttl", "refresh_max_ttl", "absolute life of a session"},
		{"retry-window", "retry_window", "how long a repeated refresh gets the same answer; 0s: never"},
		{"tls-subject-dn", "tls_client_auth_subject_dn",
			"with tls_client_auth: the subject of its certificate, as RFC 4514 writes it: \"CN=billing,O=Example\""},
		{"tls-san-dns", "tls_client_auth_san_dns", "with tls_client_auth: a DNS name in its certificate"},
		{"tls-san-uri", "tls_client_auth_san_uri",
			"with tls_client_auth: a URI in its certificate, such as spiffe://example.org/billing"},
		{"tls-san-ip", "tls_client_auth_san_ip", "with tls_client_auth: an address in its certificate"},
		{"tls-san-email", "tls_client_auth_san_email", "with tls_client_auth: an e-mail address in its certificate"},
		{"tls-bound-tokens", "tls_client_certificate_bound_access_tokens",
			"its access tokens are bound to the certificate that its requests present (RFC 8705)"},
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
	claims   claimChange
	exchange exchangeChange
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
		case *bool:
			f.BoolVar(v, m.name, false, m.usage)
		case *int:
			f.IntVar(v, m.name, 0, m.usage)
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
	e.claims.flag(f)
	e.exchange.flags(f)
	f.StringVar(&e.jwksFile, "jwks", "", "with private_key_jwt: a file with the client's public keys (a JWK Set); with self_signed_tls_client_auth: with its certificates as x5c")
	f.StringVar(&e.said.JWKSURI, "jwks-uri", "", "with private_key_jwt or self_signed_tls_client_auth: where the client publishes its keys (https)")
	f.StringVar(&e.workload.Issuer, "workload-issuer", "",
		"with private_key_jwt: the platform whose tokens prove the client, one of [[trusted_issuers]]")
	f.StringVar(&e.workload.Subject, "workload-subject", "", "with --workload-issuer: the sub of those tokens")
}

// oneOfMembers lets the shell complete the flags of members that have few values.
func oneOfMembers(c *cobra.Command) {
	oneOf(c, "grant-type", clients.GrantClientCredentials, clients.GrantPassword, clients.GrantRefreshToken, clients.GrantTokenExchange, clients.GrantJWTBearer)
	oneOf(c, "auth-method", string(clients.MethodBasic), string(clients.MethodPost), string(clients.MethodJWT), string(clients.MethodTLS),
		string(clients.MethodSelfSigned), string(clients.MethodNone))
	oneOf(c, "introspect", string(clients.SightOwn), string(clients.SightAudience), string(clients.SightAny))
	oneOf(c, "exchange-mode", "delegation", "impersonation", "either")
	oneOf(c, "exchange-subject-type", "user", "client", "external")
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
	if len(r.AllowedNetworks) == 0 {
		r.AllowedNetworks = nil // --allowed-network ""
	}
	if c.Flags().Changed("claim") {
		named = append(named, "claims")
		r.Claims = e.claims.of(r.Claims)
	}
	if e.exchange.given(c) {
		named = append(named, "exchange")
		r.Exchange = e.exchange.of(c, r.Exchange)
	}
	if c.Flags().Changed("auth-method") && (r.Method == clients.MethodJWT || r.Method.ByCertificate()) {
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
	return anyOf(c, append(keyFlags(), "claim")) || e.exchange.given(c)
}

// read reads what keyFlags and --claim name.
func (e *clientEdit) read() error {
	if err := e.claims.read(); err != nil {
		return err
	}
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
	case r.Method.ByCertificate():
		return needsCertificate(r, s)
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

// needsCertificate is needsKeys for clients that prove themselves by certificates.
func needsCertificate(r *clients.Registration, s secretFlags) error {
	named := slices.ContainsFunc(clients.CertificateNames(), func(member string) bool { return *r.Member(member).(*string) != "" })
	switch {
	case s != secretFlags{}:
		return usageError{fmt.Errorf("a client that authenticates by %s has no secret", r.Method)}
	case r.Method == clients.MethodTLS && !named:
		return usageError{errors.New("tls_client_auth needs the name in the client's certificate: --tls-subject-dn, --tls-san-dns, --tls-san-uri, --tls-san-ip or --tls-san-email")}
	case r.Method == clients.MethodSelfSigned && r.JWKS == nil && r.JWKSURI == "":
		return usageError{errors.New("self_signed_tls_client_auth needs the client's certificates: --jwks FILE or --jwks-uri URL")}
	}
	return nil
}
