// Package http1 serves HTTP/1.1 connections (RFC 9112) at about half of the cost of net/http.
//
// # What the package owns
//
// The package reads plain requests and writes their answers. A plain request is what nearly every
// client sends: GET, HEAD or POST; a path without escapes; a head of strict grammar that arrives
// whole; a small body with Content-Length, or with chunks that have no extensions and no
// trailers. The package serves them over TCP and, where the http.Server has a TLSConfig, over TLS.
//
// # What the package hands on
//
// Everything else goes to net/http: other methods and versions, HTTP/2, Expect, upgrades, long or
// slow requests, any byte outside the strict grammar, any doubt about where a request ends. The
// package does not judge such a request. It gives the connection to net/http with every byte that
// was read, and net/http keeps the connection until its end. So a request has one of two readers,
// and the strict reader takes a request only as net/http would. Nothing is left to smuggle.
//
// # The contract with handlers
//
// As with net/http, each request has a Request, a Header and a Context of its own; a goroutine that
// outlives its handler keeps them and sees no later request. The context ends when the handler
// returns, and when the client closes the connection. In one thing the package differs: an answer
// is written in one piece, after the handler has returned. So a plain request has no Flusher and no
// Hijacker.
//
// # The tests that are its price
//
//   - FuzzParse, FuzzPieces: a head that the package takes is to net/http the same request.
//   - FuzzChunks: a chunked body that the package takes is to net/http the same body.
//   - TestGeneratedConnections: whole connections, cut anywhere, get the answers of net/http.
//   - TestHandlerContract: what a handler leaves behind meets no other request.
//   - TestTLS, TestPressure, TestStop: handshakes, the bound of connections, the end.
//   - In test/faults, TestHammer and TestGeneratedStreams: the program under 200 connections, and
//     behind nginx and HAProxy.
package http1
