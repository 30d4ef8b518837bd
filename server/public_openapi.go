package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the document below
	"encoding/hex"
	"encoding/json"
	"net/http"
)

//go:embed openapi_public.json
var publicDocument []byte

// exampleIssuer stands in the document where the server is named.
const exampleIssuer = "https://auth.example.com"

// describePublic returns the step that answers with the description of the public endpoints
// (OpenAPI 3.1). It names the endpoints that the code has, whatever is enabled.
func describePublic(issuer string) (step, error) {
	var document bytes.Buffer
	if err := json.Compact(&document, publicDocument); err != nil {
		return nil, err
	}
	name, err := json.Marshal(issuer)
	if err != nil {
		return nil, err
	}
	text := bytes.Replace(document.Bytes(), []byte(`{"url":"`+exampleIssuer+`"`), append([]byte(`{"url":`), name...), 1)
	etag := tagOf(text)
	return func(x *exchange) error { return writeCacheable(x, text, etag) }, nil
}

// writeCacheable answers with a text that rarely changes, or says that it has not changed.
func writeCacheable(x *exchange, text []byte, etag string) error {
	h := x.gin.Writer.Header()
	h.Del("Pragma")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", etag)
	if x.gin.GetHeader("If-None-Match") == etag {
		x.gin.Writer.WriteHeader(http.StatusNotModified)
		x.gin.Writer.WriteHeaderNow()
		return nil
	}
	x.write(http.StatusOK, text)
	return nil
}

// tagOf is the ETag of a text.
func tagOf(text []byte) string {
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}
