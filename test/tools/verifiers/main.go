// Command verifiers gives JWTs of a running Grantor to the verifiers of others in Go, and writes a
// line of JSON for each: which verifier, which alg and typ, and what it said. The script run starts
// it, and the verifiers in other languages.
//
//	verifiers tokens.json
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	golangjwt "github.com/golang-jwt/jwt/v5"
	cap "github.com/hashicorp/cap/jwt"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// tokens is what the verifiers are given.
type tokens struct {
	Issuer   string `json:"issuer"`
	JWKS     string `json:"jwks_uri"`
	Audience string `json:"audience"`
	Tokens   []struct {
		Alg, Typ, Token string
	} `json:"tokens"`
}

// verifier says why it refuses a token of an alg; nil: it takes the token.
type verifier struct {
	name, module string
	verify       func(ctx context.Context, in *tokens, alg, token string) error
}

func verifiers() []verifier {
	return []verifier{
		{"hashicorp/cap", "github.com/hashicorp/cap", byCap},
		{"MicahParks/keyfunc", "github.com/MicahParks/keyfunc/v3", byKeyfunc},
		{"lestrrat-go/jwx", "github.com/lestrrat-go/jwx/v3", byJWX},
		{"auth0/go-jwt-middleware", "github.com/auth0/go-jwt-middleware/v2", byAuth0},
		{"coreos/go-oidc", "github.com/coreos/go-oidc/v3", byOIDC},
	}
}

func byCap(ctx context.Context, in *tokens, alg, token string) error {
	set, err := cap.NewJSONWebKeySet(ctx, in.JWKS, "")
	if err != nil {
		return err
	}
	v, err := cap.NewValidator(set)
	if err == nil {
		_, err = v.Validate(ctx, token, cap.Expected{Issuer: in.Issuer, Audiences: []string{in.Audience}, SigningAlgorithms: []cap.Alg{cap.Alg(alg)}})
	}
	return err
}

func byKeyfunc(ctx context.Context, in *tokens, alg, token string) error {
	set, err := keyfunc.NewDefaultCtx(ctx, []string{in.JWKS})
	if err == nil {
		_, err = golangjwt.Parse(token, set.Keyfunc, golangjwt.WithIssuer(in.Issuer), golangjwt.WithAudience(in.Audience),
			golangjwt.WithValidMethods([]string{alg}), golangjwt.WithExpirationRequired())
	}
	return err
}

func byJWX(ctx context.Context, in *tokens, _, token string) error {
	set, err := jwk.Fetch(ctx, in.JWKS)
	if err == nil {
		_, err = jwt.Parse([]byte(token), jwt.WithKeySet(set), jwt.WithIssuer(in.Issuer), jwt.WithAudience(in.Audience))
	}
	return err
}

func byAuth0(ctx context.Context, in *tokens, alg, token string) error {
	issuer, err := url.Parse(in.Issuer)
	if err != nil {
		return err
	}
	provider := jwks.NewCachingProvider(issuer, time.Minute)
	v, err := validator.New(provider.KeyFunc, validator.SignatureAlgorithm(alg), in.Issuer, []string{in.Audience})
	if err == nil {
		_, err = v.ValidateToken(ctx, token)
	}
	return err
}

func byOIDC(ctx context.Context, in *tokens, _, token string) error {
	provider, err := oidc.NewProvider(ctx, in.Issuer)
	if err == nil {
		_, err = provider.VerifierContext(ctx, &oidc.Config{ClientID: in.Audience}).Verify(ctx, token)
	}
	return err
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	var in tokens
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, v := range verifiers() {
		for _, t := range in.Tokens {
			said := ""
			if err := v.verify(ctx, &in, t.Alg, t.Token); err != nil {
				said = err.Error()
			}
			_ = json.NewEncoder(os.Stdout).Encode(map[string]string{
				"verifier": v.name, "version": version(v.module), "alg": t.Alg, "typ": t.Typ, "error": said})
		}
	}
}

// version returns that of a module which this program links.
func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return ""
}
