package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/keys"
)

// jwks publishes the public keys (RFC 7517 §5).
func (s *Server) jwks(x *exchange) error {
	body, etag := s.cfg.Keys.JWKS()
	h := x.gin.Writer.Header()
	h.Del("Pragma")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(keys.DefaultPublishAhead/time.Second)))
	h.Set("ETag", etag)
	if s.cfg.Keys.Ready() != nil { // others may know newer keys
		h.Set("Cache-Control", "no-store")
	}
	if x.gin.GetHeader("If-None-Match") == etag {
		x.gin.Writer.WriteHeader(http.StatusNotModified)
		x.gin.Writer.WriteHeaderNow()
		return nil
	}
	writeJSON(x, http.StatusOK, json.RawMessage(body))
	return nil
}
