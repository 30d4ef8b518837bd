package server

import (
	_ "embed" // the document below
	"encoding/json"
	"net/http"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPI describes the admin listener (OpenAPI 3.1).
func openAPI(x *exchange) error {
	writeJSON(x, http.StatusOK, json.RawMessage(openAPIDocument))
	return nil
}
