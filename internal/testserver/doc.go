// Package testserver is a running Grantor for tests of programs that take its tokens: in memory,
// with a clock that moves, tokens for the asking, and failures on demand. Package grantortest
// offers it to tests in Go, and "grantor serve --trial --test" to all others, by the endpoints
// below /test (see Server.Handler).
//
// Tokens are issued by the server's own endpoints, so that what a test sees is what production
// answers. Whoever reaches the endpoints below /test gets every token: serve them on loopback
// alone.
package testserver
