// Command kubernetes gives JWTs of a running Grantor to the authenticator of kube-apiserver, and
// writes a line of JSON for each, as command verifiers does. It is a module of its own: what it
// links takes minutes to build. The issuer's authority is in the file that SSL_CERT_FILE names.
//
//	kubernetes tokens.json
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// tokens is what the verifier is given.
type tokens struct {
	Issuer, Audience string
	Tokens           []struct{ Alg, Typ, Token string }
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var in tokens
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	authenticator, err := authenticatorOf(ctx, &in)
	if err != nil {
		return err
	}
	for _, t := range in.Tokens {
		said := ask(ctx, authenticator, t.Token)
		for said == "oidc: authenticator not initialized" && ctx.Err() == nil { // it fetches the keys beside
			time.Sleep(200 * time.Millisecond)
			said = ask(ctx, authenticator, t.Token)
		}
		_ = json.NewEncoder(os.Stdout).Encode(map[string]string{
			"verifier": "kube-apiserver (k8s.io/apiserver)", "version": version(), "alg": t.Alg, "typ": t.Typ, "error": said})
	}
	return nil
}

func authenticatorOf(ctx context.Context, in *tokens) (oidc.AuthenticatorTokenWithHealthCheck, error) {
	authority, err := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
	if err != nil {
		return nil, err
	}
	content, err := dynamiccertificates.NewStaticCAContent("authority", authority)
	if err != nil {
		return nil, err
	}
	prefix := ""
	return oidc.New(ctx, oidc.Options{
		JWTAuthenticator: apiserver.JWTAuthenticator{
			Issuer:        apiserver.Issuer{URL: in.Issuer, Audiences: []string{in.Audience}, CertificateAuthority: string(authority)},
			ClaimMappings: apiserver.ClaimMappings{Username: apiserver.PrefixedClaimOrExpression{Claim: "sub", Prefix: &prefix}},
		},
		CAContentProvider:    content,
		SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
		Compiler:             authenticationcel.NewCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())),
	})
}

// ask says why a token is refused; "": it is taken.
func ask(ctx context.Context, a oidc.AuthenticatorTokenWithHealthCheck, token string) string {
	switch _, ok, err := a.AuthenticateToken(ctx, token); {
	case err != nil:
		return err.Error()
	case !ok:
		return "not authenticated"
	}
	return ""
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, d := range info.Deps {
		if d.Path == "k8s.io/apiserver" {
			return d.Version
		}
	}
	return ""
}
