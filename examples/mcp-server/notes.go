package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// needs is the scope of each tool.
var needs = map[string]string{"list_notes": "notes:read", "add_note": "notes:write"}

type addInput struct {
	Text string `json:"text" jsonschema:"the text of the note"`
}

// newNotes returns the tools. They check scopes themselves: whatever reads the request before them
// may read it in another way.
func newNotes() *mcp.Server {
	var mu sync.Mutex
	notes := []string{"buy apples"}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "list_notes", Description: "List all notes"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			mu.Lock()
			defer mu.Unlock()
			return text("notes: %q", notes), nil, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "add_note", Description: "Add a note"},
		func(_ context.Context, request *mcp.CallToolRequest, in addInput) (*mcp.CallToolResult, any, error) {
			mu.Lock()
			defer mu.Unlock()
			notes = append(notes, in.Text)
			return text("added for %s", request.Extra.TokenInfo.UserID), nil, nil
		})
	server.AddReceivingMiddleware(checkScope)
	return server
}

// checkScope refuses a tool whose scope the token lacks.
func checkScope(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		call, ok := request.(*mcp.CallToolRequest)
		if !ok {
			return next(ctx, method, request)
		}
		info := call.Extra.TokenInfo
		if scope := needs[call.Params.Name]; info == nil || !slices.Contains(info.Scopes, scope) {
			return nil, fmt.Errorf("the tool needs a scope that the token lacks")
		}
		return next(ctx, method, request)
	}
}

func text(format string, args ...any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf(format, args...)}}}
}
