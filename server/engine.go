package server

import (
	"context"
	"net/http"
	"time"

	oauth2 "github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"

	"github.com/grantor-auth/grantor/tokens"
)

// This file wires go-oauth2 and answers its questions; the files beside it know its types alone. The library is used by its verbs,
// ValidationTokenRequest and GetAccessToken, and never by its writers. What we bend, and the
// test that fails without it:
//
//   - it authenticates nobody on refresh and checks passwords before clients: our step authenticateClient
//     comes first, and ClientInfoHandler only hands on whom it found (TestEngineFailsClosed);
//   - a client with an empty secret passes any: VerifyPassword answers "this very request was
//     authenticated" (TestEngineFailsClosed);
//   - r.FormValue merges the query and swallows malformed bodies: formBody presets r.Form (TestTokenRequest);
//   - its error table answers invalid_grant with 401 and knows no challenge: errors.go answers (TestTokenErrors);
//   - its tokens have 122 bits: generator mints ours (TestTokenTexts).

// Compile-time proof of what the library asks of us.
var (
	_ oauth2.ClientStore            = clientStore{}
	_ oauth2.ClientInfo             = (*exchange)(nil)
	_ oauth2.ClientPasswordVerifier = (*exchange)(nil)
	_ oauth2.AccessGenerate         = (*generator)(nil)
	_ oauth2.TokenStore             = (*tokenStore)(nil)
)

// newLibrary wires go-oauth2. Its setters are not synchronised, so all of them are called here, once.
func (s *Server) newLibrary() *oauth2server.Server {
	m := manage.NewManager()
	m.MapClientStorage(clientStore{})
	m.MapTokenStorage(&tokenStore{s})
	m.MapAccessGenerate(&generator{s})
	m.SetClientTokenCfg(&manage.Config{AccessTokenExp: s.cfg.AccessTTL})

	m.SetPasswordTokenCfg(&manage.Config{AccessTokenExp: s.cfg.AccessTTL, RefreshTokenExp: s.cfg.RefreshTTL, IsGenerateRefresh: true})

	lib := oauth2server.NewServer(&oauth2server.Config{TokenType: "Bearer"}, &manager{m, s})
	for _, g := range s.grantTypes {
		lib.Config.AllowedGrantTypes = append(lib.Config.AllowedGrantTypes, oauth2.GrantType(g))
	}
	lib.SetPasswordAuthorizationHandler(s.checkPassword)
	lib.SetClientInfoHandler(authenticated)
	lib.SetClientScopeHandler(s.decideScope)
	return lib
}

// manager is the library's, but for the refresh, which it cannot do in one step: it reads, writes and
// deletes by turns, looks at no client, and lets 49 of 64 uses of one token succeed (TestRefreshRace).
type manager struct {
	*manage.Manager
	s *Server
}

// RefreshAccessToken implements oauth2.Manager.
func (m *manager) RefreshAccessToken(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	x := exchangeFrom(ctx)
	if x == nil || x.client == nil {
		return nil, oautherrors.ErrInvalidClient
	}
	return m.s.refresh(x, tgr.Refresh, tgr.Scope)
}

// authenticated hands the library the client that authenticateClient found. Without one it
// fails closed.
func authenticated(r *http.Request) (id, secret string, err error) {
	x := exchangeFrom(r.Context())
	if x == nil || x.client == nil {
		return "", "", oautherrors.ErrInvalidClient
	}
	return x.client.ID, "", nil
}

// clientStore answers the library's question for a client with the one that this request
// proved to be, and with no other.
type clientStore struct{}

// GetByID implements oauth2.ClientStore.
func (clientStore) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	if x := exchangeFrom(ctx); x != nil && x.client != nil && x.client.ID == id {
		return x, nil
	}
	return nil, oautherrors.ErrInvalidClient
}

// GetID implements oauth2.ClientInfo.
func (x *exchange) GetID() string { return x.client.ID }

// GetSecret implements oauth2.ClientInfo: there is none to give.
func (x *exchange) GetSecret() string { return "" }

// GetDomain implements oauth2.ClientInfo; it serves redirects, which we have not.
func (x *exchange) GetDomain() string { return "" }

// IsPublic implements oauth2.ClientInfo.
func (x *exchange) IsPublic() bool { return x.client.Public() }

// GetUserID implements oauth2.ClientInfo.
func (x *exchange) GetUserID() string { return "" }

// VerifyPassword implements oauth2.ClientPasswordVerifier: the library asks it instead of comparing
// secrets. It is true only for a request whose client was authenticated.
func (x *exchange) VerifyPassword(string) bool { return x.client != nil }

// decideScope is the library's question what a token of client_credentials or password may carry. It
// replaces the asked scope by the granted one and sets life and audience.
func (s *Server) decideScope(tgr *oauth2.TokenGenerateRequest) (bool, error) {
	x := exchangeFrom(tgr.Request.Context())
	if x == nil || x.client == nil {
		return false, oautherrors.ErrInvalidClient
	}
	asked, err := askedScope(tgr.Scope)
	if err != nil {
		return false, err
	}
	granted, err := s.grantScope(x.client, asked)
	if err != nil {
		return false, err
	}
	if x.session != nil {
		if granted, err = s.userScope(x.session.user, granted); err != nil {
			return false, err
		}
	}
	granted, audience, err := s.narrowToResources(x.client, granted, x.form["resource"])
	if err != nil {
		return false, err
	}
	if err := fits(granted, audience); err != nil {
		return false, err
	}
	x.audience = audience
	tgr.Scope = granted.String()
	tgr.AccessTokenExp = s.accessTTL(x.client)
	if x.session != nil { // no access token outlives its session
		tgr.AccessTokenExp = min(tgr.AccessTokenExp, s.maxTTL(x.client))
	}
	return true, nil
}

// generator mints the texts that the library asks for.
type generator struct{ s *Server }

// Token implements oauth2.AccessGenerate.
func (g *generator) Token(ctx context.Context, data *oauth2.GenerateBasic, _ bool) (access, refresh string, err error) {
	x := exchangeFrom(ctx)
	if x == nil || x.client == nil {
		return "", "", oautherrors.ErrInvalidClient
	}
	data.TokenInfo.SetAccessCreateAt(g.s.now().Truncate(time.Second)) // the library took this node's clock
	if x.session != nil {
		return g.s.mintLogin(x, data.TokenInfo)
	}
	access, err = g.s.mintClient(x, data.TokenInfo.GetScope(), data.TokenInfo.GetAccessCreateAt(), data.TokenInfo.GetAccessExpiresIn())
	return access, "", err
}

// tokenStore is where the library puts a new token; nothing else of its store is used.
type tokenStore struct{ s *Server }

// Create implements oauth2.TokenStore with one command.
func (st *tokenStore) Create(ctx context.Context, info oauth2.TokenInfo) error {
	x := exchangeFrom(ctx)
	if x == nil || x.client == nil {
		return oautherrors.ErrInvalidClient
	}
	if x.session != nil {
		return st.s.storeLogin(x, info.GetScope(), info.GetAccessExpiresIn())
	}
	return st.s.cfg.Store.Issue(ctx, x.issued, &tokens.Record{
		ClientID:    x.client.ID,
		ClientEpoch: x.client.Epoch,
		Scope:       info.GetScope(),
		Audience:    x.audience,
		IssuedAt:    info.GetAccessCreateAt(),
		TTL:         info.GetAccessExpiresIn(),
	})
}

// The rest of oauth2.TokenStore would read and remove by text and without asking whose a token
// is. Introspection and revocation use tokens.Store; these refuse.

// RemoveByCode implements oauth2.TokenStore.
func (*tokenStore) RemoveByCode(context.Context, string) error { return errUnused }

// RemoveByAccess implements oauth2.TokenStore.
func (*tokenStore) RemoveByAccess(context.Context, string) error { return errUnused }

// RemoveByRefresh implements oauth2.TokenStore.
func (*tokenStore) RemoveByRefresh(context.Context, string) error { return errUnused }

// GetByCode implements oauth2.TokenStore.
func (*tokenStore) GetByCode(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errUnused
}

// GetByAccess implements oauth2.TokenStore.
func (*tokenStore) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errUnused
}

// GetByRefresh implements oauth2.TokenStore.
func (*tokenStore) GetByRefresh(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errUnused
}

var errUnused = &Error{Code: codeServerError, Status: http.StatusInternalServerError, Reason: "unused library path"}
