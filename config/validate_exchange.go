package config

import (
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/nearest"
)

// exchangeWarnings tells of exchange policies that name clients whose tokens can never be exchanged
// (RFC 8693).
func (d *decoder) exchangeWarnings() (list []string) {
	for _, c := range d.cfg.clients {
		if c.Exchange == nil {
			continue
		}
		for _, id := range c.Exchange.SubjectClients {
			if why := d.neverExchanged(c, id); why != "" && id != "*" {
				list = append(list, fmt.Sprintf("client %q: exchange: subject_clients: %s", c.ID, why))
			}
		}
		for _, id := range c.Exchange.Actors {
			if d.clientNamed(id) == nil {
				list = append(list, fmt.Sprintf("client %q: exchange: actors: %s", c.ID, d.unknownClient(id)))
			}
		}
	}
	return list
}

// neverExchanged says why a client can never exchange a token of another one; "": it can.
func (d *decoder) neverExchanged(c *clients.Client, id string) string {
	from := d.clientNamed(id)
	if from == nil {
		return d.unknownClient(id)
	}
	if err := c.NeverExchanges(d.cfg.catalogue, from); err != nil {
		return fmt.Sprintf("%q %s", id, err)
	}
	return ""
}

// clientNamed returns a client of the configuration; nil: there is none of this id.
func (d *decoder) clientNamed(id string) *clients.Client {
	i := slices.IndexFunc(d.cfg.clients, func(c *clients.Client) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return d.cfg.clients[i]
}

func (d *decoder) unknownClient(id string) string {
	var ids []string
	for _, c := range d.cfg.clients {
		ids = append(ids, c.ID)
	}
	if d.cfg.Store == StoreRedis {
		return fmt.Sprintf("no client of the configuration has the id %q: if none is registered in Redis, it says nothing%s", id, nearest.Hint(id, ids))
	}
	return fmt.Sprintf("no client has the id %q%s", id, nearest.Hint(id, ids))
}
