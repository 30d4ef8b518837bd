package gate

import "github.com/grantor-auth/grantor/middleware"

func session(t *middleware.Token) string { return t.Session }
