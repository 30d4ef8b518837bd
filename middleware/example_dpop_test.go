package middleware_test

import (
	"log"
	"net/http"
	"os"

	"github.com/grantor-auth/grantor/middleware"
)

// An API takes tokens that are bound to a key, and no others.
func Example_boundTokens() {
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: "https://auth.example.com", ClientID: "orders-api", ClientSecret: os.Getenv("GRANTOR_CLIENT_SECRET"),
	})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{
		Verifier: verifier,
		Audience: "https://orders.example.com",
		DPoP: middleware.DPoP{
			URL:      "https://api.example.com/orders",    // as clients write it: the proxy cuts off /orders
			Required: true,                                // false: unbound tokens pass too, as Bearer
			NonceKey: []byte(os.Getenv("DPOP_NONCE_KEY")), // of 32 bytes; nil: clients' clocks count
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /orders", guard.Handler(http.NotFoundHandler(), "orders:read"))
}
