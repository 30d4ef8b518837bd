// The same API with net/http alone.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/grantor-auth/grantor/middleware"
)

const audience = "https://orders.example.com" // the name of this API in tokens

func newAPI(issuer, clientID, clientSecret string) (http.Handler, error) {
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: issuer, ClientID: clientID, ClientSecret: clientSecret,
	})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Verifier: verifier, Audience: audience})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Handler(http.HandlerFunc(list), "orders:read"))
	mux.Handle("POST /orders", guard.Handler(http.HandlerFunc(create), "orders:write"))
	return mux, nil
}

func list(w http.ResponseWriter, r *http.Request) {
	token := middleware.TokenFrom(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"for": token.Subject, "orders": []string{"apples", "pears"}})
}

func create(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }

func main() {
	api, err := newAPI(os.Getenv("ISSUER"), os.Getenv("GRANTOR_CLIENT_ID"), os.Getenv("GRANTOR_CLIENT_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), api)) // #nosec G114 -- an example: set the timeouts of a server of your own
}
