// Package presence tells which nodes of a deployment serve: each writes itself down in Redis every
// few seconds. Nothing depends on it: it is for people.
package presence

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Node is what a node says of itself.
type Node struct {
	ID       string    `json:"id"` // random, of one run
	Host     string    `json:"host"`
	Listen   string    `json:"listen"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Reloaded time.Time `json:"reloaded"`          // when its configuration was loaded
	NotReady string    `json:"why,omitempty"`     // why it is not ready; "": it is
	FeedAge  float64   `json:"feed_age"`          // seconds since the revocation feed was read; 0 while nobody follows
	Pending  int       `json:"pending,omitempty"` // revocations that it repeats

	Config    string  `json:"config,omitempty"`     // config.Config.Fingerprint; "": of a version without
	ChangeAge float64 `json:"change_age,omitempty"` // seconds since the client change stream was known whole
	Up        float64 `json:"up,omitempty"`         // seconds since its start; 0: of a version without

	Listens     bool `json:"listens,omitempty"`     // at Listen: a program that embeds a node serves elsewhere
	Connections int  `json:"connections,omitempty"` // that each of its listeners holds at most; 0: of a version without

	Silent time.Duration `json:"-"` // of List: since it was written, by Redis's clock
}

const (
	key   = "nodes"
	every = 5 * time.Second
	// gone is after how long a node that says nothing is removed.
	gone = 2 * time.Minute
	life = time.Hour // of the key: the last node leaves nothing behind
)

// Late says whether a node has missed its turn three times.
func (n Node) Late() bool { return n.Silent > 3*every }

// NewID draws the id of a run.
func NewID() string { return strings.ToLower(rand.Text()[:10]) }

// The scripts. say: KEYS nodes. ARGV id, what it says, milliseconds after which others are gone,
// life in milliseconds. A value is milliseconds of Redis's clock, a space, and what the node says.
var (
	say = redisdb.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local all = redis.call('HSCAN', KEYS[1], 0, 'COUNT', 1000)[2]
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '^%d+')) or 0
  if now - at > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
end
return 1`)

	list = redisdb.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local out = {}
local all = redis.call('HSCAN', KEYS[1], 0, 'COUNT', 1000)[2]
for i = 1, #all, 2 do
  local at, text = string.match(all[i + 1], '^(%d+) (.*)$')
  if at then out[#out + 1] = now - at; out[#out + 1] = text end
end
return out`)

	leave = redisdb.NewScript(`return redis.call('HDEL', KEYS[1], ARGV[1])`)
)

// Run writes down what self says until ctx ends, and then takes it away. A Redis that is away is
// logged elsewhere.
func Run(ctx context.Context, db *redisdb.DB, log *slog.Logger, self func() Node) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := write(ctx, db, self()); err != nil {
			log.DebugContext(ctx, "this node cannot write itself to the list of nodes", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			_, _ = db.Eval(context.WithoutCancel(ctx), leave, []string{key}, self().ID) // else it is gone after a while
			return
		case <-tick.C:
		}
	}
}

func write(ctx context.Context, db *redisdb.DB, n Node) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	_, err = db.Eval(ctx, say, []string{key}, n.ID, text, gone.Milliseconds(), life.Milliseconds())
	return err
}

// List returns the nodes, by host and address.
func List(ctx context.Context, db *redisdb.DB) ([]Node, error) {
	v, err := db.Eval(ctx, list, []string{key})
	if err != nil {
		return nil, err
	}
	found, _ := v.([]any)
	var nodes []Node
	for i := 0; i+1 < len(found); i += 2 {
		silent, _ := found[i].(int64)
		text, _ := found[i+1].(string)
		var n Node
		if json.Unmarshal([]byte(text), &n) != nil {
			continue // of another version
		}
		n.Silent = time.Duration(max(silent, 0)) * time.Millisecond
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Listen, b.Listen), cmp.Compare(a.ID, b.ID))
	})
	return nodes, nil
}
