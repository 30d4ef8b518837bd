// An MCP server whose tools need scopes of Grantor: list_notes needs notes:read, and add_note
// notes:write.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/grantor-auth/grantor/middleware"
)

// config is what the server is made of: URL is its own, as clients write it.
type config struct{ URL, Issuer, ClientID, ClientSecret string }

func newHandler(cfg config) (http.Handler, error) {
	asked, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
	})
	if err != nil {
		return nil, err
	}
	local, err := middleware.NewJWT(middleware.JWTConfig{Issuer: cfg.Issuer, Audience: cfg.URL})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{
		Verifier: middleware.Either(asked, local), Audience: cfg.URL,
		Resource: &middleware.Resource{Name: "Notes", Scopes: []string{"notes:read", "notes:write"}},
	})
	if err != nil {
		return nil, err
	}
	notes := newNotes()
	stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return notes },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	protected, err := stepUp(guard, auth.RequireBearerToken(tokenInfo, nil)(stream))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(guard.MetadataPath(), guard.Metadata()) // RFC 9728: where clients get tokens
	mux.Handle("/mcp", protected)
	return mux, nil
}

// tokenInfo tells the SDK what the guard found out.
func tokenInfo(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	token := middleware.TokenFrom(ctx)
	if token == nil {
		return nil, errors.New("the guard is missing")
	}
	var scopes []string
	for scope := range token.Scope.All() {
		scopes = append(scopes, scope)
	}
	return &auth.TokenInfo{UserID: token.Subject, Scopes: scopes, Expiration: token.ExpiresAt}, nil
}

func main() {
	handler, err := newHandler(config{URL: os.Getenv("MCP_URL"), Issuer: os.Getenv("ISSUER"),
		ClientID: os.Getenv("GRANTOR_CLIENT_ID"), ClientSecret: os.Getenv("GRANTOR_CLIENT_SECRET")})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), handler)) // #nosec G114 -- an example: set the timeouts of a server of your own
}
