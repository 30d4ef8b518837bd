// Package routers protects the same two routes by net/http, chi and echo. The guard of package
// middleware is a net/http handler, which every router takes.
package routers

import (
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/grantor-auth/grantor/middleware"
)

// list answers who asks. The guard in front has checked the token.
func list(w http.ResponseWriter, r *http.Request) {
	token := middleware.TokenFrom(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"for": token.Subject, "orders": []string{"apples", "pears"}})
}

func create(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }

// requires makes a middleware of a guard: func(http.Handler) http.Handler.
func requires(guard *middleware.Guard, scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return guard.Handler(next, scopes...) }
}

// NetHTTP is the API with the standard library's router.
func NetHTTP(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Handler(http.HandlerFunc(list), "orders:read"))
	mux.Handle("POST /orders", guard.Handler(http.HandlerFunc(create), "orders:write"))
	return mux
}

// Chi is the API with chi.
func Chi(guard *middleware.Guard) http.Handler {
	router := chi.NewRouter()
	router.With(requires(guard, "orders:read")).Get("/orders", list)
	router.With(requires(guard, "orders:write")).Post("/orders", create)
	return router
}

// Echo is the API with echo. In a handler of echo's, c.Request().Context() holds the token.
func Echo(guard *middleware.Guard) http.Handler {
	e := echo.New()
	e.GET("/orders", echo.WrapHandler(http.HandlerFunc(list)), echo.WrapMiddleware(requires(guard, "orders:read")))
	e.POST("/orders", func(c echo.Context) error {
		return c.JSON(http.StatusCreated, map[string]string{"by": middleware.TokenFrom(c.Request().Context()).Subject})
	}, echo.WrapMiddleware(requires(guard, "orders:write")))
	return e
}
