package clients_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func TestSearch(t *testing.T) {
	fixed := &clients.Client{Registration: clients.Registration{ID: "fixed-orders", Grants: []string{"client_credentials"}, Secrets: []clients.Secret{{Hash: clients.HashSecret("x")}}}}
	a := node(t, redistest.Start(t).URL, fixed)
	for id, name := range map[string]string{"billing": "Nightly Billing", "billing-2": "", "Reports": `Says "hi", <b>&amp;</b> \ `, "plain": "Ünïcode", "late": `","client_name":"trap`} {
		c := machine(id)
		c.Name = name
		require.NoError(t, a.manager.Create(t.Context(), c))
	}
	found := func(text string) (ids []string) {
		cursor := ""
		for {
			list, next, err := a.manager.Search(t.Context(), text, cursor, 1)
			require.NoError(t, err)
			for _, d := range list {
				ids = append(ids, d.ID)
			}
			if cursor = next; cursor == "" {
				return ids
			}
		}
	}
	for text, want := range map[string][]string{
		"":                {"billing", "billing-2", "Reports", "plain", "late", "fixed-orders"},
		"BILL":            {"billing", "billing-2"},
		"nightly b":       {"billing"},
		`"hi"`:            {"Reports"},
		"<b>":             {"Reports"},
		`\ `:              {"Reports"},
		"u003c":           nil, // as JSON has it, and nobody else
		"ünï":             nil, // letters beyond ASCII match in their own case alone
		"Ünï":             {"plain"},
		"trap":            {"late"},
		"orders":          {"fixed-orders"}, // and no scope
		"client_name":     {"late"},
		"%":               nil, // no pattern of Lua
		".":               nil,
		"nobody at all":   nil,
		"secret of plain": nil,
	} {
		require.ElementsMatch(t, want, found(text), text)
	}
	t.Run("the client with exactly this id comes first, and once", func(t *testing.T) {
		require.Equal(t, []string{"billing", "billing-2"}, found("billing"))
		require.Equal(t, []string{"fixed-orders"}, found("fixed-orders"))
	})
	t.Run("no cursor of ours, and a text that is too long", func(t *testing.T) {
		for _, cursor := range []string{"x", "1", "1.x", "fff.0", "0.-1"} {
			_, _, err := a.manager.Search(t.Context(), "", cursor, 10)
			require.ErrorIs(t, err, clients.ErrCursor, cursor)
		}
		_, _, err := a.manager.Search(t.Context(), strings.Repeat("a", 256), "", 10)
		require.ErrorIs(t, err, clients.ErrSearch)
	})
}
