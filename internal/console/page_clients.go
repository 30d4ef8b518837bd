package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/clients"
)

const clientsPage = 50

// clientList is what the page of clients shows.
type clientList struct {
	Search   string
	Clients  []*clients.Described
	Next     string // "": this is the end
	First    bool
	Searched int // percent of all clients, of a search that goes on
}

func (c *Console) clients(v *visit) error {
	q := v.r.URL.Query()
	shown := clientList{Search: strings.TrimSpace(q.Get("search")), First: q.Get("cursor") == ""}
	var found struct {
		Clients []*clients.Described `json:"clients"`
		Next    string               `json:"next_cursor"`
	}
	ask := url.Values{"search": {shown.Search}, "cursor": {q.Get("cursor")}, "limit": {strconv.Itoa(clientsPage)}}
	if err := c.ask(v, http.MethodGet, "/admin/v1/clients?"+ask.Encode(), nil, &found); err != nil {
		return err
	}
	shown.Clients = found.Clients
	if found.Next != "" {
		shown.Next = "/console/clients?" + url.Values{"search": {shown.Search}, "cursor": {found.Next}}.Encode()
		shown.Searched = searched(found.Next)
	}
	c.show(v, "clients", http.StatusOK, "Clients", shown)
	return nil
}

// searched reads out of a cursor how much of 256 shards is behind it, in percent.
func searched(cursor string) int {
	shard, _, _ := strings.Cut(cursor, ".")
	n, err := strconv.ParseUint(shard, 16, 8)
	if err != nil {
		return 0
	}
	return int(n) * 100 / 256
}
