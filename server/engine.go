package server

import (
	"context"
	"errors"
	"net/http"

	oauth2 "github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"
)

// engine is go-oauth2, of which no other file knows. It decides a token request by the library's
// verbs ValidationTokenRequest and GetAccessToken, and asks the Server for password, scope, tokens
// and storage. What we bend of the library, and the test that fails without it:
//
//   - it authenticates no client on refresh and checks passwords before clients: authenticateClient
//     runs first, and the library only learns whom it found (TestEngineFailsClosed);
//   - a client with an empty secret passes any: VerifyPassword answers whether this very request
//     was authenticated (TestEngineFailsClosed);
//   - r.FormValue merges the query and swallows malformed bodies: formBody presets r.Form
//     (TestTokenRequest);
//   - it answers invalid_grant with 401 and knows no challenge: answer.go answers
//     (TestTokenErrors);
//   - its tokens have 122 random bits: mint draws ours (TestTokenTexts);
//   - it refreshes in several steps, and lets 49 of 64 uses of one token succeed:
//     RefreshAccessToken is ours (TestRefreshRace).
type engine struct{ library *oauth2server.Server }

// newEngine wires the library. Its setters are not synchronised, so all are called here, once.
func newEngine(s *Server) engine {
	m := manage.NewManager()
	m.MapClientStorage(clientStore{})
	m.MapTokenStorage(tokenStore{s})
	m.MapAccessGenerate(generator{s})
	m.SetClientTokenCfg(&manage.Config{AccessTokenExp: s.cfg.AccessTTL})
	m.SetPasswordTokenCfg(&manage.Config{AccessTokenExp: s.cfg.AccessTTL, RefreshTokenExp: s.cfg.RefreshTTL,
		IsGenerateRefresh: true})
	library := oauth2server.NewServer(&oauth2server.Config{TokenType: "Bearer"}, &refreshManager{m, s})
	for _, g := range s.grantTypes {
		library.Config.AllowedGrantTypes = append(library.Config.AllowedGrantTypes, oauth2.GrantType(g))
	}
	library.SetClientInfoHandler(authenticatedClient)
	library.SetPasswordAuthorizationHandler(passwordHandler(s))
	library.SetClientScopeHandler(scopeHandler(s))
	return engine{library}
}

// issue decides the token request of an exchange and returns the tokens of its answer.
func (e engine) issue(x *exchange) (issuedTokens, error) {
	if ctx := x.gin.Request.Context(); carry(ctx, x) { // where exchangeOf finds the exchange again
		defer carry(ctx, nil)
	} else {
		x.gin.Request = x.gin.Request.WithContext(x)
	}
	grant, request, err := e.library.ValidationTokenRequest(x.gin.Request)
	if err != nil {
		return issuedTokens{}, fromLibrary(err)
	}
	info, err := e.library.GetAccessToken(x, grant, request)
	if err != nil {
		return issuedTokens{}, fromLibrary(err)
	}
	return issuedTokens{access: info.GetAccess(), refresh: info.GetRefresh(), scope: info.GetScope(), ttl: info.GetAccessExpiresIn()}, nil
}

// fromLibrary turns the library's own refusals into ours. Our errors pass through it as they are,
// and so do faults of directory and store, whatever sentinel they wrap: they are no refusals.
func fromLibrary(err error) error {
	switch {
	case faultOf(err) != nil:
		return err
	case errors.Is(err, oautherrors.ErrInvalidClient):
		return refusal(codeInvalidClient, "client authentication failed")
	case errors.Is(err, oautherrors.ErrUnsupportedGrantType):
		return refusal(codeUnsupportedGrantType, "this grant type is not served here")
	case errors.Is(err, oautherrors.ErrUnauthorizedClient):
		return refusal(codeUnauthorizedClient, "this client may not use this grant type")
	case errors.Is(err, oautherrors.ErrInvalidScope):
		return refusal(codeInvalidScope, "this client may not have this scope")
	case errors.Is(err, oautherrors.ErrInvalidGrant):
		return refusal(codeInvalidGrant, "the grant is not valid")
	case errors.Is(err, oautherrors.ErrInvalidRequest):
		return refusal(codeInvalidRequest, "the request is malformed")
	}
	return err
}

// exchangeOf returns the exchange of a question that the library asks. It fails closed where no
// client was authenticated.
func exchangeOf(ctx context.Context) (*exchange, error) {
	if x := exchangeFrom(ctx); x != nil && x.client != nil {
		return x, nil
	}
	return nil, oautherrors.ErrInvalidClient
}

// authenticatedClient answers which client asks: the one that authenticateClient found.
func authenticatedClient(r *http.Request) (id, secret string, err error) {
	x, err := exchangeOf(r.Context())
	if err != nil {
		return "", "", err
	}
	return x.client.ID, "", nil
}

// passwordHandler answers who a name and a password prove (RFC 6749 §4.3.2).
func passwordHandler(s *Server) oauth2server.PasswordAuthorizationHandler {
	return func(ctx context.Context, _, username, password string) (string, error) {
		x, err := exchangeOf(ctx)
		if err != nil {
			return "", err
		}
		return s.checkPassword(x, username, password)
	}
}

// scopeHandler answers what a token of client_credentials or password may carry, and for how long.
func scopeHandler(s *Server) oauth2server.ClientScopeHandler {
	return func(tgr *oauth2.TokenGenerateRequest) (bool, error) {
		x, err := exchangeOf(tgr.Request.Context())
		if err != nil {
			return false, err
		}
		tgr.Scope, tgr.AccessTokenExp, err = s.decideScope(x, tgr.Scope)
		return err == nil, err
	}
}

// refreshManager is the library's manager with a refresh of ours.
type refreshManager struct {
	*manage.Manager
	s *Server
}

// RefreshAccessToken implements oauth2.Manager.
func (m *refreshManager) RefreshAccessToken(
	ctx context.Context, tgr *oauth2.TokenGenerateRequest,
) (oauth2.TokenInfo, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	t, err := m.s.useRefreshToken(x, tgr.Refresh, tgr.Scope)
	if err != nil {
		return nil, err
	}
	return &models.Token{Access: t.access, AccessExpiresIn: t.ttl, Refresh: t.refresh, Scope: t.scope}, nil
}

// generator answers which tokens to give out.
type generator struct{ s *Server }

var _ oauth2.AccessGenerate = generator{}

// Token implements oauth2.AccessGenerate.
func (g generator) Token(
	ctx context.Context, data *oauth2.GenerateBasic, _ bool,
) (access, refresh string, err error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return "", "", err
	}
	return g.s.mint(x, data.TokenInfo.GetScope(), data.TokenInfo.GetAccessExpiresIn())
}

// clientStore answers the question for a client with the client of this request, and no other.
type clientStore struct{}

var _ oauth2.ClientStore = clientStore{}

// GetByID implements oauth2.ClientStore.
func (clientStore) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	x, err := exchangeOf(ctx)
	if err != nil || x.client.ID != id {
		return nil, oautherrors.ErrInvalidClient
	}
	return libraryClient{x}, nil
}

// libraryClient is the client of an exchange as the library sees clients.
type libraryClient struct{ x *exchange }

var _ interface {
	oauth2.ClientInfo
	oauth2.ClientPasswordVerifier
} = libraryClient{}

// GetID implements oauth2.ClientInfo.
func (c libraryClient) GetID() string { return c.x.client.ID }

// GetSecret implements oauth2.ClientInfo: there is none to give.
func (libraryClient) GetSecret() string { return "" }

// GetDomain implements oauth2.ClientInfo; it serves redirects, which we have not.
func (libraryClient) GetDomain() string { return "" }

// IsPublic implements oauth2.ClientInfo.
func (c libraryClient) IsPublic() bool { return c.x.client.Public() }

// GetUserID implements oauth2.ClientInfo.
func (libraryClient) GetUserID() string { return "" }

// VerifyPassword implements oauth2.ClientPasswordVerifier: the library asks it instead of comparing
// secrets. It is true only for a request whose client was authenticated.
func (c libraryClient) VerifyPassword(string) bool { return c.x.client != nil }

// tokenStore is where the library puts a new token. The rest of oauth2.TokenStore would read and
// remove tokens by their text without asking whose they are, so it refuses.
type tokenStore struct{ s *Server }

var _ oauth2.TokenStore = tokenStore{}

// Create implements oauth2.TokenStore with one command.
func (st tokenStore) Create(ctx context.Context, _ oauth2.TokenInfo) error {
	x, err := exchangeOf(ctx)
	if err != nil {
		return err
	}
	return st.s.storeMinted(x)
}

// RemoveByCode implements oauth2.TokenStore.
func (tokenStore) RemoveByCode(context.Context, string) error { return errUnused() }

// RemoveByAccess implements oauth2.TokenStore.
func (tokenStore) RemoveByAccess(context.Context, string) error { return errUnused() }

// RemoveByRefresh implements oauth2.TokenStore.
func (tokenStore) RemoveByRefresh(context.Context, string) error { return errUnused() }

// GetByCode implements oauth2.TokenStore.
func (tokenStore) GetByCode(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errUnused()
}

// GetByAccess implements oauth2.TokenStore.
func (tokenStore) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errUnused()
}

// GetByRefresh implements oauth2.TokenStore.
func (tokenStore) GetByRefresh(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errUnused()
}

func errUnused() error {
	return &Error{Code: codeServerError, Status: http.StatusInternalServerError,
		Reason: "unused_library_path"}
}
