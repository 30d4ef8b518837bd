// An agent that calls one tool of an MCP server. It knows the server's URL and its own credentials.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// credentials are the agent's: a secret, or with CLIENT_KEY a private key. Issuer keeps them from
// every other authorization server.
func credentials() (auth.OAuthHandler, error) {
	if file := os.Getenv("CLIENT_KEY"); file != "" {
		return newKeyHandler(file, os.Getenv("CLIENT_ID"), os.Getenv("ISSUER"))
	}
	return extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{Credentials: &oauthex.ClientCredentials{
		ClientID: os.Getenv("CLIENT_ID"), Issuer: os.Getenv("ISSUER"),
		ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: os.Getenv("CLIENT_SECRET")},
	}})
}

func call(ctx context.Context, tool string, arguments map[string]any) (string, error) {
	handler, err := credentials()
	if err != nil {
		return "", err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: os.Getenv("MCP_URL"), OAuthHandler: handler, DisableStandaloneSSE: true}, nil)
	if err != nil {
		return "", err
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return "", err
	}
	content, ok := result.Content[0].(*mcp.TextContent)
	if !ok || result.IsError {
		return "", errors.New("the tool failed")
	}
	return content.Text, nil
}

func main() {
	tool, arguments := "list_notes", map[string]any{}
	if len(os.Args) > 1 {
		tool, arguments = "add_note", map[string]any{"text": os.Args[1]}
	}
	text, err := call(context.Background(), tool, arguments)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
}
