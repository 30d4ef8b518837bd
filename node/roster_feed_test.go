package node

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// TestReloadInTheFeed: what a configuration takes from tokens is in the revocation feed when the
// reload returns.
func TestReloadInTheFeed(t *testing.T) {
	const more = "scopes.\"invoices:read\" = {}\n"
	n, err := Open(t.Context(), parsed(t, more), quiet())
	require.NoError(t, err)
	defer n.Close()
	stream := n.resources.stores.tokens.Feed()
	first, err := stream.Read(t.Context(), "", 1000)
	require.NoError(t, err)
	at := first.At
	ended := func() (names []string) {
		page, err := stream.Read(t.Context(), at, 1000)
		require.NoError(t, err)
		for _, e := range page.Ends {
			names = append(names, e.Names...)
		}
		at = page.At
		return names
	}
	name := func() string {
		c, err := n.current.now.Load().static.Get(t.Context(), "demo-machine")
		require.NoError(t, err)
		return c.FeedName()
	}
	change := func(more, old, new string) { // what its file says then
		t.Helper()
		require.NoError(t, n.Reload(t.Context(), text(t, strings.ReplaceAll(textOf(more), old, new))))
	}
	require.Empty(t, ended())

	before := name()
	require.NotEmpty(t, before)
	change(more, "", "")
	require.Equal(t, before, name())
	require.Empty(t, ended(), "nothing changed")

	change(more, `grant_types = ["client_credentials"]`, `grant_types = ["client_credentials", "password"]`)
	require.Equal(t, []string{before}, ended())
	require.NotEqual(t, before, name())

	before = name()
	change(strings.Replace(more, "invoices", "bills", 1), `grant_types = ["client_credentials"]`, `grant_types = ["client_credentials", "password"]`)
	require.Equal(t, before, name(), "the client may ask for neither")
	require.Equal(t, []string{feed.OtherRules, feed.OtherRules}, ended(), "before the new scopes are in force, and when they are")

	change(strings.Replace(more, "invoices", "bills", 1), `client_id = "demo-machine"`, `client_id = "another"`)
	require.Equal(t, []string{before, feed.OtherRules}, ended(), "its name before, and what verifiers remember from the time between when the configuration is in force")
}

// TestTrustedIssuerInTheFeed: a trusted issuer that is taken out of a configuration ends the name
// that tokens for its JWTs carry, and no other change does.
func TestTrustedIssuerInTheFeed(t *testing.T) {
	trusting := func(issuer, uri string) string {
		return textOf("") + "[[trusted_issuers]]\nissuer = \"" + issuer + "\"\njwks_uri = \"" + uri + "\"\n"
	}
	n, err := Open(t.Context(), text(t, trusting("https://idp.example.com", "https://idp.example.com/keys")), quiet())
	require.NoError(t, err)
	defer n.Close()
	entry := func() (*clients.Client, error) {
		return n.current.now.Load().static.Get(t.Context(), clients.IssuerID("https://idp.example.com"))
	}
	stream := n.resources.stores.tokens.Feed()
	reload := func(toml string) (ended []string) {
		first, err := stream.Read(t.Context(), "", 1000)
		require.NoError(t, err)
		require.NoError(t, n.Reload(t.Context(), text(t, toml)))
		page, err := stream.Read(t.Context(), first.At, 1000)
		require.NoError(t, err)
		for _, e := range page.Ends {
			ended = append(ended, e.Names...)
		}
		return ended
	}
	c, err := entry()
	require.NoError(t, err)
	require.NotEmpty(t, c.FeedName())
	t.Run("TX-09 the keys of an issuer are elsewhere: nothing ends", func(t *testing.T) {
		require.Empty(t, reload(trusting("https://idp.example.com", "https://keys.example.com")))
	})
	t.Run("TX-09 an issuer in place of another", func(t *testing.T) {
		require.Equal(t, []string{c.FeedName()}, reload(trusting("https://other.example.com", "https://keys.example.com")))
		_, err = entry()
		require.ErrorIs(t, err, clients.ErrUnknown)
	})
	t.Run("TX-09 an issuer that comes back has another name", func(t *testing.T) {
		require.Len(t, reload(trusting("https://idp.example.com", "https://idp.example.com/keys")), 1)
		back, err := entry()
		require.NoError(t, err)
		require.NotEqual(t, c.FeedName(), back.FeedName())
	})
	t.Run("nobody is such a client", func(t *testing.T) {
		require.Error(t, clients.CheckID(clients.IssuerID("https://idp.example.com")))
		for _, one := range n.current.now.Load().static.List() {
			require.Equal(t, "demo-machine", one.ID)
		}
	})
}

// TestConfiguredInPlaceOfRegistered: a client that a configuration has takes the place of a
// registered one of the same id, and ends the tokens of that one.
func TestConfiguredInPlaceOfRegistered(t *testing.T) {
	s := redistest.Start(t)
	n := serve(t, "redis.url = \""+s.URL+"\"\n")
	registered := clients.Stored{Epoch: clients.NewEpoch(), Edition: clients.NewEpoch(),
		Registration: clients.Registration{ID: "job", Grants: []string{"client_credentials"}, Scope: "orders:read"}}
	require.NoError(t, clients.NewRedis(n.resources.stores.db).Create(t.Context(), &registered))
	_, at := n.poll(t, "")
	job := strings.Replace(followed[strings.Index(followed, "[[clients]]"):strings.LastIndex(followed, "[[clients]]")], "machine", "job", 1)
	require.NoError(t, n.Reload(t.Context(), text(t, "redis.url = \""+s.URL+"\"\n"+followed+job)))
	ended, _ := n.poll(t, at)
	require.Equal(t, []string{feed.Client(registered.Epoch, registered.Edition)}, ended)
}
