package redistest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// slots is how many a Redis Cluster has.
const slots = 16384

// Nodes is a Redis Cluster.
type Nodes struct {
	Addrs   []string
	Servers []*Server // the primaries, then replicas in the order of AddReplica

	t    testing.TB
	args []string
}

// Cluster starts a Redis Cluster of primaries that share the slots evenly, without replicas, and
// waits until all agree. A node is called down after a second.
func Cluster(t testing.TB, primaries int, args ...string) *Nodes {
	t.Helper()
	c := &Nodes{t: t, args: args}
	for i := range primaries {
		node := c.start()
		node.do("cluster", "addslotsrange", i*slots/primaries, (i+1)*slots/primaries-1)
		node.do("config", "set", "cluster-require-full-coverage", "no")
		node.do("cluster", "set-config-epoch", i+1)
		c.join(node)
	}
	c.settle()
	return c
}

func (c *Nodes) start() *Server {
	c.t.Helper()
	return Start(c.t, append([]string{"--cluster-enabled", "yes", "--cluster-port", FreePort(c.t), "--cluster-node-timeout", "1000",
		"--cluster-replica-validity-factor", "0"}, c.args...)...)
}

// join makes a node known to the first, and by gossip to all.
func (c *Nodes) join(node *Server) {
	c.t.Helper()
	c.Servers, c.Addrs = append(c.Servers, node), append(c.Addrs, node.Addr)
	if first := c.Servers[0]; first != node {
		host, port, _ := net.SplitHostPort(first.Addr)
		node.do("cluster", "meet", host, port, first.busPort())
	}
}

// busPort reads the port of the cluster's bus: "… 127.0.0.1:7000@17000 myself,…".
func (s *Server) busPort() string {
	for line := range strings.Lines(fmt.Sprint(s.do("cluster", "nodes"))) {
		if strings.Contains(line, "myself") {
			_, rest, _ := strings.Cut(line, "@")
			return rest[:strings.IndexAny(rest, " ,")]
		}
	}
	s.t.Fatal("no node calls itself itself")
	return ""
}

// settle waits until every node knows every other, and that all slots are served.
func (c *Nodes) settle() {
	c.t.Helper()
	for _, node := range c.Servers {
		await(c.t, "a cluster that agrees", func() bool {
			info := fmt.Sprint(node.do("cluster", "info"))
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:"+strconv.Itoa(slots)) &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(c.Servers)))
		})
	}
}

// AddReplica adds a replica of a primary and waits until it has caught up.
func (c *Nodes) AddReplica(primary *Server) *Server {
	c.t.Helper()
	r := c.start()
	c.join(r)
	id := fmt.Sprint(primary.do("cluster", "myid"))
	await(c.t, "a replica that knows its primary", func() bool {
		return strings.Contains(fmt.Sprint(r.do("cluster", "nodes")), id)
	})
	r.do("cluster", "replicate", id)
	primary.awaitReplica(r)
	c.settle()
	return r
}

// AddEmpty adds a primary without slots.
func (c *Nodes) AddEmpty() *Server {
	c.t.Helper()
	node := c.start()
	c.join(node)
	c.settle()
	return node
}

// Slot is the slot of a key.
func (c *Nodes) Slot(key string) int {
	n, _ := c.Servers[0].do("cluster", "keyslot", key).(int64)
	return int(n)
}

// BeginMove marks a slot as moving from one primary to another: keys that are not with the first
// any more are asked of the second (ASK).
func (c *Nodes) BeginMove(slot int, from, to *Server) {
	c.t.Helper()
	to.do("cluster", "setslot", slot, "importing", from.do("cluster", "myid"))
	from.do("cluster", "setslot", slot, "migrating", to.do("cluster", "myid"))
}

// MoveKeys moves the keys of a moving slot.
func (c *Nodes) MoveKeys(slot int, from, to *Server) {
	c.t.Helper()
	host, port, _ := net.SplitHostPort(to.Addr)
	for {
		keys, _ := from.do("cluster", "getkeysinslot", slot, 100).([]any)
		if len(keys) == 0 {
			return
		}
		from.do(append([]any{"migrate", host, port, "", 0, 5000, "keys"}, keys...)...)
	}
}

// EndMove gives a moving slot to its new primary (MOVED from then on).
func (c *Nodes) EndMove(slot int, from, to *Server) {
	c.t.Helper()
	id := to.do("cluster", "myid")
	to.do("cluster", "setslot", slot, "node", id)
	from.do("cluster", "setslot", slot, "node", id)
}
