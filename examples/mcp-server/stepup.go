package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/grantor-auth/grantor/middleware"
)

// maxBody is the most that a request may hold, in bytes.
const maxBody = 1 << 20

// stepUp demands the scope of the tool that a request calls, and notes:read of every other request.
// A token without the scope gets 403 with a challenge, by which the client asks for a better token.
func stepUp(guard *middleware.Guard, next http.Handler) (http.Handler, error) {
	byScope := map[string]http.Handler{}
	for _, scope := range needs {
		h, err := guard.Protect(next, middleware.Demand{AllOf: []string{scope}})
		if err != nil {
			return nil, err
		}
		byScope[scope] = h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body is unreadable or larger than 1 MB", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h, ok := byScope[needs[toolOf(body)]]
		if !ok {
			h = byScope["notes:read"]
		}
		h.ServeHTTP(w, r)
	}), nil
}

// toolOf returns the tool that a message calls; "": none.
func toolOf(body []byte) string {
	var message struct {
		Method string `json:"method"`
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &message) != nil || message.Method != "tools/call" {
		return ""
	}
	return message.Params.Name
}
