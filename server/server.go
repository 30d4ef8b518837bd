// Package server is the authorization server: the endpoints of RFC 6749 §3.2, RFC 7662,
// RFC 7009 and RFC 8414 over the clients, tokens and scopes that it is given.
//
// Read it from the top. routes.go and admin_routes.go list the endpoints. Each is a list of
// named steps (steps.go) that ends in one handler, and every handler returns an error.
// error_table.go maps errors of other packages to answers, and answer.go alone writes them.
// engine.go is the only file that knows go-oauth2; see there what the library decides.
package server

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/tokens"
)

// Server is the authorization server, an http.Handler. A program that embeds Grantor opens package
// node, which runs what a Server needs beside the requests: a registry that nobody runs is stale
// after two seconds, and every answer is 503 then.
type Server struct {
	cfg        Config
	log        *slog.Logger
	path       string            // of the issuer: "" or "/tenant"
	key        *tokens.KeyHolder // the server key of the store
	codec      *tokens.Codec     // of key
	grantTypes []string          // that are enabled
	prints     credentialPrints
	proofs     *proofs
	issue      func(*exchange) (issuedTokens, error) // decides a token request; see engine

	overload    *overload
	sessions    sessionCache
	outages     outages // of the directory
	hookOutages outages
	peers       peerUsers // of the demo's callers
	unrecorded  unrecorded

	inactiveLines inactiveLines
	proxies       proxies
	doubted       doubted
	adminHosts    []string
	extra         []byte // members of the metadata, each with a comma before it
	fixed         *fixedHeaders
	draining      atomic.Bool
	drained       chan struct{} // closed when draining begins
	polls         pollPlaces

	public   *gin.Engine // the endpoints of routes.go
	admin    *gin.Engine // those of admin_routes.go
	operator *gin.Engine // those of admin_operator.go
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.public.ServeHTTP(w, r) }

// Now is the store's time. Tokens expire by it, and every time in an answer is read from it.
// A guard over Verifier takes it as its Now.
func (s *Server) Now() time.Time { return s.cfg.Store.Now() }

func (s *Server) now() time.Time { return s.Now() }

// Drain makes readiness fail, the first act of a graceful stop. Requests are still served.
// Polls of the revocation feed that are held are answered.
func (s *Server) Drain() {
	if !s.draining.Swap(true) {
		close(s.drained)
	}
}
