package config

import (
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/clients"
)

// maxPerClient bounds the series of [metrics] per_client.
const maxPerClient = 100

// perClient checks [metrics] per_client.
func (d *decoder) perClient() {
	list := d.cfg.Metrics.PerClient
	if len(list) > maxPerClient {
		d.bad("metrics.per_client", "names %d clients, at most %d: each has series of its own", len(list), maxPerClient)
	}
	for i, id := range list {
		key := fmt.Sprintf("metrics.per_client[%d]", i)
		if err := clients.CheckID(id); err != nil {
			d.bad(key, "%s", err)
		} else if slices.Index(list, id) < i {
			d.bad(key, "%q is named twice", id)
		}
	}
}

// unknownPerClient warns of ids that no client of config.toml has.
func (d *decoder) unknownPerClient() (list []string) {
	for _, id := range d.cfg.Metrics.PerClient {
		known := slices.ContainsFunc(d.cfg.clients, func(c *clients.Client) bool { return c.ID == id })
		switch {
		case known:
		case d.cfg.Store == StoreRedis:
			list = append(list, fmt.Sprintf("metrics.per_client: no client of the configuration has the id %q: if none is registered in Redis, its series stay at zero", id))
		default:
			list = append(list, fmt.Sprintf("metrics.per_client: no client has the id %q: its series stay at zero", id))
		}
	}
	return list
}
