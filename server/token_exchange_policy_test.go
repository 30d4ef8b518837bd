package server

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// repoliced changes the policy of a client as a reload does, until the test ends.
func (f *fixture) repoliced(t *testing.T, id string, change func(p *clients.ExchangePolicy)) {
	t.Helper()
	c := f.clientNamed(id)
	kept := *c
	t.Cleanup(func() { *c = kept })
	r, policy := c.Registration, *c.Exchange
	change(&policy)
	r.Exchange = &policy
	next, err := r.Client()
	require.NoError(t, err)
	require.NoError(t, next.Check(f.server.cfg.Catalogue))
	*c = *next
}

// TestTokenExchangePolicyChanges: each exchange of a chain is held against the present policy of
// the client that made it.
func TestTokenExchangePolicyChanges(t *testing.T) {
	f := startExchanges(t)
	t.Run("TX-06 the policy of a client in the middle loses a scope: what came from it does too", func(t *testing.T) {
		list := f.chain(t, f.issue(t, "&scope=orders:write+plain"))
		f.repoliced(t, "stock", func(p *clients.ExchangePolicy) { p.Scope = "plain" })
		require.Equal(t, "orders:read orders:write plain", f.inspect(t, list[1]).json["scope"])
		require.Equal(t, "plain", f.inspect(t, list[2]).json["scope"])
		require.Equal(t, "plain", f.inspect(t, list[3]).json["scope"])
	})
	t.Run("TX-06 the policy of a client in the middle loses all scopes of the token", func(t *testing.T) {
		list := f.chain(t, f.issue(t, "&scope=orders:read"))
		f.repoliced(t, "stock", func(p *clients.ExchangePolicy) { p.Scope = "plain" })
		f.requireActive(t, true, list[:2]...)
		f.requireActive(t, false, list[2:]...)
	})
	t.Run("TX-07 a policy that demands delegation ends tokens that do not say who acts", func(t *testing.T) {
		silent := f.exchanged(t, "either", f.issue(t, ""), "")
		says := f.exchanged(t, "either", f.issue(t, ""), "&actor_token="+f.issue(t, "")+"&actor_token_type="+tokenTypeAccess)
		f.requireActive(t, true, silent, says)
		f.repoliced(t, "either", func(p *clients.ExchangePolicy) { p.Mode = clients.ExchangeDelegation })
		f.requireActive(t, false, silent)
		f.requireActive(t, true, says)
	})
	t.Run("RFC 9449 a policy that allows bound tokens no more ends what came from them", func(t *testing.T) {
		f.repoliced(t, "flat", func(p *clients.ExchangePolicy) { p.BoundTokens = true })
		app, err := f.server.cfg.Clients.Get(t.Context(), "app")
		require.NoError(t, err)
		bound, id := f.server.codec.NewClientAccess()
		require.NoError(t, f.store.Issue(t.Context(), id, &tokens.Record{ClientID: "app", ClientEpoch: app.Epoch, Scope: "plain",
			IssuedAt: f.server.now().Truncate(time.Second), TTL: time.Minute, Confirmation: tokens.Confirmation{KeyThumbprint: [32]byte{1}}}))
		laundered, plain := f.exchanged(t, "flat", bound, ""), f.exchanged(t, "flat", f.issue(t, ""), "")
		f.requireActive(t, true, laundered, plain)
		f.repoliced(t, "flat", func(p *clients.ExchangePolicy) { p.BoundTokens = false })
		f.requireActive(t, false, laundered)
		f.requireActive(t, true, plain)
	})
}

// TestTokenExchangeProofs: the new token is bound to the key of the client that exchanges.
func TestTokenExchangeProofs(t *testing.T) {
	f := startExchanges(t)
	f.exchanger(t, "bound-shop", &clients.ExchangePolicy{SubjectClients: []string{"*"}})
	f.clientNamed("bound-shop").DPoPBound = true
	p, access := f.prover(t), f.issue(t, "")
	body := "grant_type=" + url.QueryEscape(clients.GrantTokenExchange) + "&subject_token_type=" + tokenTypeAccess + "&subject_token=" + access
	proof := p.proof()
	r := f.post(t, tokP, "bound-shop:s", body, proof)
	t.Run("DP-01 RFC 9449 §5 a proof binds an exchanged token", func(t *testing.T) {
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "DPoP", r.text("token_type"))
		require.Contains(t, f.inspect(t, r.text("access_token")).json, "cnf")
	})
	t.Run("RFC 9449 §11.1 a proof is used for one exchange", func(t *testing.T) {
		refused(t, f.post(t, tokP, "bound-shop:s", body, proof), 400, "invalid_dpop_proof")
	})
	t.Run("DP-10 RFC 9449 §5.2 an exchange without a proof is refused where the client must prove", func(t *testing.T) {
		refused(t, f.post(t, tokP, "bound-shop:s", body), 400, "invalid_dpop_proof")
	})
	t.Run("RFC 9449 §7.2 the bound token is not exchanged for one that is not, where no policy says so", func(t *testing.T) {
		refused(t, f.exchange(t, "flat", r.text("access_token"), ""), 400, codeInvalidRequest)
	})
}

// TestTokenExchangeTargets: which APIs a new token may be for (RFC 8693 §2.1).
func TestTokenExchangeTargets(t *testing.T) {
	const one, two = "https://one.example", "https://two.example"
	f := startExchanges(t)
	f.clientNamed("app").Audience = []string{one, two}
	f.exchanger(t, "to-one", &clients.ExchangePolicy{SubjectClients: []string{"*"}, Audience: []string{"HTTPS://One.example:443/"}})
	token := f.issue(t, "&scope=plain")
	t.Run("TX-05 RI-07 the policy names a resource in any spelling, and aud has that of the subject token", func(t *testing.T) {
		for _, more := range []string{"", "&resource=" + one, "&audience=" + url.QueryEscape(one+"/")} {
			says := f.inspect(t, f.exchanged(t, "to-one", token, more)).json
			require.Equal(t, []any{one}, says["aud"], more)
		}
	})
	t.Run("TX-05 a resource that the policy lacks is refused, also for a scope that belongs to none", func(t *testing.T) {
		refused(t, f.exchange(t, "to-one", token, "&resource="+two), 400, codeInvalidTarget)
		refused(t, f.exchange(t, "to-one", token, "&audience="+url.QueryEscape(two)), 400, codeInvalidTarget)
		refused(t, f.exchange(t, "to-one", token, "&resource="+one+"&resource="+two), 400, codeInvalidTarget)
	})
	t.Run("TX-05 RFC 9700 §4.15 the answer does not tell which clients there are", func(t *testing.T) {
		of := func(audience string) string {
			r := f.exchange(t, "shop", token, "&audience="+audience)
			refused(t, r, 400, codeInvalidTarget)
			return strings.ReplaceAll(r.body, audience, "ID")
		}
		for _, there := range []string{"invoices-api", "orders-api", "gateway", "disabled"} {
			require.Equal(t, of("nobody"), of(there), there)
		}
	})
	t.Run("TX-05 a registry that cannot answer is no unknown audience", func(t *testing.T) {
		defer f.reload(t)
		f.server.cfg.Clients = deafTo{f.keptFresh(), "invoices-api"}
		require.Equal(t, 503, f.exchange(t, "shop", token, "&audience=invoices-api").status)
	})
}

// deafTo is a registry that cannot say anything of one client.
type deafTo struct {
	keptFresh
	id string
}

func (d deafTo) Get(ctx contextT, id string) (*clients.Client, error) {
	if id == d.id {
		return nil, clients.ErrStale
	}
	return d.keptFresh.Get(ctx, id)
}

// TestTokenExchangeAudienceNames: APIs whose aud is no URI (RFC 7519 §4.1.3).
func TestTokenExchangeAudienceNames(t *testing.T) {
	f := startExchanges(t)
	cat, err := scopes.NewCatalogue(map[string]scopes.Scope{"plain": {}, "orders:read": {Resource: "broker"}, "orders:write": {}, "invoices:read": {}}, "broker")
	require.NoError(t, err)
	f.server.cfg.Catalogue = cat
	f.clientNamed("orders-api").Resource = "broker"
	f.repoliced(t, "flat", func(p *clients.ExchangePolicy) { p.Audience = []string{"broker"} })
	token := f.issue(t, "&scope=orders:read")
	for _, audience := range []string{"broker", "orders-api"} {
		t.Run("TX-05 RI-08 audience by "+audience, func(t *testing.T) {
			says := f.inspect(t, f.exchanged(t, "flat", token, "&audience="+audience)).json
			require.Equal(t, []any{"broker"}, says["aud"])
		})
	}
	t.Run("RI-01 RFC 8707 §2 resource is a URI all the same", func(t *testing.T) {
		refused(t, f.exchange(t, "flat", token, "&resource=broker"), 400, codeInvalidTarget)
	})
	t.Run("RI-08 a policy names no audience that the configuration does not permit", func(t *testing.T) {
		c := f.clientNamed("flat")
		policy := *c.Exchange
		policy.Audience = []string{"other-broker"}
		r := c.Registration
		r.Exchange = &policy
		next, err := r.Client()
		require.NoError(t, err)
		require.ErrorContains(t, next.Check(cat), "audience_names")
	})
}
