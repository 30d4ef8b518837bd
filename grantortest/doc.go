// Package grantortest is a real Grantor for the tests of a program that takes its tokens: in
// memory, in the process of the test, behind a real URL.
//
//	srv := grantortest.New(t)
//	api := newAPI(srv.Issuer, srv.API.ID, srv.API.Secret)      // the program under test
//	request.Header.Set("Authorization", "Bearer "+srv.Token("orders:read"))
//
// Tokens are issued by the server's own endpoints, so that what a test sees is what production
// answers. Scopes need no declaration. A mistake ends the test with a sentence that says what to
// change.
//
// Times: Advance moves the server's clock, by which tokens and sessions expire. A program that
// compares times itself, such as a verifier of JWTs, must be given Server.Now as its clock.
package grantortest
