package rivals

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	oauth2 "github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
	redisstore "github.com/go-oauth2/redis/v4"
	"github.com/go-redis/redis/v8"
)

// goOAuth2 wires the library as its examples do: default manager, clients in memory, tokens in
// Redis, its own handlers, clients by HTTP Basic.
func goOAuth2(g *gin.Engine, db *redis.Client) {
	people := store.NewClientStore()
	for id, secret := range map[string]string{MachineID: MachineSecret, APIID: APISecret, AppID: AppSecret} {
		_ = people.Set(id, &models.Client{ID: id, Secret: secret, Domain: "http://localhost"})
	}
	m := manage.NewDefaultManager()
	m.MapClientStorage(people)
	m.MapTokenStorage(redisstore.NewRedisStoreWithCli(db))
	m.SetClientTokenCfg(&manage.Config{AccessTokenExp: accessLife})
	m.SetPasswordTokenCfg(&manage.Config{AccessTokenExp: accessLife, RefreshTokenExp: 30 * 24 * time.Hour, IsGenerateRefresh: true})
	s := server.NewDefaultServer(m)
	s.SetAllowedGrantType(oauth2.ClientCredentials, oauth2.PasswordCredentials, oauth2.Refreshing)
	s.SetClientInfoHandler(server.ClientBasicHandler)
	s.SetPasswordAuthorizationHandler(func(_ context.Context, _, username, password string) (string, error) {
		if strings.HasPrefix(username, "user-") && password == Password {
			return "id-of-" + username, nil
		}
		return "", errors.ErrAccessDenied
	})
	g.POST(PathToken, func(c *gin.Context) { _ = s.HandleTokenRequest(c.Writer, c.Request) })
	g.POST(PathIntrospect, libraryIntrospection(m))
	g.POST(PathRevoke, libraryRevocation(m))
}

// libraryIntrospection is what applications write by hand: the library has no such endpoint.
func libraryIntrospection(m *manage.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !libraryClient(c, m) {
			return
		}
		info, err := m.LoadAccessToken(c, c.PostForm("token"))
		if err != nil {
			c.JSON(http.StatusOK, introspection{})
			return
		}
		c.JSON(http.StatusOK, introspection{Active: true, Scope: info.GetScope(), ClientID: info.GetClientID(), TokenType: "Bearer",
			Exp: info.GetAccessCreateAt().Add(info.GetAccessExpiresIn()).Unix()})
	}
}

func libraryRevocation(m *manage.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !libraryClient(c, m) {
			return
		}
		if err := m.RemoveAccessToken(c, c.PostForm("token")); err != nil {
			c.Status(http.StatusServiceUnavailable)
			return
		}
		c.JSON(http.StatusOK, struct{}{})
	}
}

func libraryClient(c *gin.Context, m *manage.Manager) bool {
	id, secret, _ := c.Request.BasicAuth()
	client, err := m.GetClient(c, id)
	if err != nil || client.GetSecret() != secret {
		c.Status(http.StatusUnauthorized)
		return false
	}
	return true
}
