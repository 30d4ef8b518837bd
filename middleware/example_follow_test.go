package middleware_test

import (
	"log"
	"net/http"
	"os"

	"github.com/grantor-auth/grantor/middleware"
)

// An API that is sent opaque tokens and JWTs checks both in memory.
func ExampleNewFollower() {
	issuer, id, secret := "https://auth.example.com", "orders-api", os.Getenv("GRANTOR_CLIENT_SECRET")
	follow, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: issuer, ClientID: id, ClientSecret: secret})
	if err != nil {
		log.Fatal(err)
	}
	opaque, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: issuer, ClientID: id, ClientSecret: secret, Follow: follow,
	})
	if err != nil {
		log.Fatal(err)
	}
	jwt, err := middleware.NewJWT(middleware.JWTConfig{
		Issuer: issuer, Audience: "https://orders.example.com", Follow: follow, Ask: opaque,
	})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{
		Verifier: middleware.Either(opaque, jwt), Audience: "https://orders.example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /orders", guard.Handler(http.NotFoundHandler(), "orders:read"))
}
