// An API of two routes that takes Grantor's tokens, with Gin.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

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
	router := gin.New()
	orders := router.Group("/orders", guard.Authenticate())
	orders.GET("", guard.RequireAll("orders:read"), list)
	orders.POST("", guard.RequireAll("orders:write"), create)
	return router, nil
}

func list(c *gin.Context) {
	token := middleware.TokenFrom(c.Request.Context())
	c.JSON(http.StatusOK, gin.H{
		"for":       token.Subject,                   // a user's id, or the client's id
		"kind":      token.SubjectType,               // "user" or "client"
		"may_write": token.Scope.Has("orders:write"), // for what a route does beside its demand
		"orders":    []string{"apples", "pears"},
	})
}

func create(c *gin.Context) { c.JSON(http.StatusCreated, gin.H{"created": true}) }

func main() {
	gin.SetMode(gin.ReleaseMode)
	api, err := newAPI(os.Getenv("ISSUER"), os.Getenv("GRANTOR_CLIENT_ID"), os.Getenv("GRANTOR_CLIENT_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), api)) // #nosec G114 -- an example: set the timeouts of a server of your own
}
