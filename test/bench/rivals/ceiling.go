package rivals

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-redis/redis/v8"
)

const accessLife = 15 * time.Minute

// ceiling does per request one command by go-redis v8, in its usual way, and nothing that a token
// server owes: no authentication, no scopes, no checks. A refresh is its issue, a revocation a DEL.
func ceiling(g *gin.Engine, db *redis.Client) {
	fail := func(c *gin.Context) { c.Status(http.StatusServiceUnavailable) }
	g.POST(PathToken, func(c *gin.Context) {
		token := rand.Text()
		if err := db.Set(c, token, MachineID, accessLife).Err(); err != nil {
			fail(c)
			return
		}
		c.JSON(http.StatusOK, tokenAnswer{token, "Bearer", int(accessLife / time.Second), token, Scope})
	})
	g.POST(PathIntrospect, func(c *gin.Context) {
		client, err := db.Get(c, c.PostForm("token")).Result()
		switch {
		case err == redis.Nil: //nolint:errorlint // v8 never wraps it
			c.JSON(http.StatusOK, introspection{})
		case err != nil:
			fail(c)
		default:
			c.JSON(http.StatusOK, introspection{Active: true, Scope: Scope, ClientID: client, TokenType: "Bearer", Exp: 1})
		}
	})
	g.POST(PathRevoke, func(c *gin.Context) {
		if err := db.Del(c, c.PostForm("token")).Err(); err != nil {
			fail(c)
			return
		}
		c.JSON(http.StatusOK, struct{}{})
	})
}
