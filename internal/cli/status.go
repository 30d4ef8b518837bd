package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/printable"
)

// noNodes is the exit status of "status" where no node was found.
const noNodes = 3

// statusCommand shows the nodes of a deployment.
func (p Program) statusCommand() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "Show the nodes of this deployment: which are ready, and which configuration each holds", Args: noArguments,
		Long: "Show the nodes of this deployment, as each writes itself down in Redis every five seconds: version, time since its\n" +
			"start, whether it is ready, the age of what it read, revocations that it repeats, and a hash of its configuration.\n" +
			"Nodes on this host are asked themselves, too. With store = \"memory\" only the node on this host can be asked.\n" +
			"The exit status is 0 when every node is ready and all hold one configuration, 1 when not, or when Redis does not\n" +
			"answer, 2 when the call or the configuration is wrong, and 3 when no node was found.",
		RunE: func(c *cobra.Command, _ []string) error { return p.status(c, path, asJSON) }}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

// nodeStatus is a node as "status" shows it.
type nodeStatus struct {
	presence.Node
	Ready  bool    `json:"ready"`
	Silent float64 `json:"silent"`         // seconds since it wrote itself down
	Here   string  `json:"here,omitempty"` // what its listener on this host answered; "": it is elsewhere, or does not listen yet
}

// deploymentStatus is the answer of "status".
type deploymentStatus struct {
	OK             bool                `json:"ok"`
	Nodes          []nodeStatus        `json:"nodes"`
	Configurations map[string][]string `json:"configurations"` // ids of nodes by the hash of their configuration
}

func (p Program) status(c *cobra.Command, path string, asJSON bool) error {
	cfg, err := p.loadPart(config.Options{Path: path}, "store", "redis", "listen", "tls.mode")
	if err != nil {
		return err
	}
	if cfg.Store == config.StoreMemory {
		return statusOfMemory(c, cfg, asJSON)
	}
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	nodes, err := presence.List(c.Context(), db)
	if err != nil {
		return err
	}
	d := deploymentStatus{OK: true, Nodes: []nodeStatus{}, Configurations: map[string][]string{}}
	for _, n := range nodes {
		d.add(c.Context(), cfg, n)
	}
	d.OK = d.OK && len(d.Configurations) == 1
	if err := answer(c, asJSON, d, d.text()); err != nil {
		return err
	}
	return d.verdict()
}

func (d *deploymentStatus) add(ctx context.Context, cfg *config.Config, n presence.Node) {
	one := nodeStatus{Node: n, Ready: n.NotReady == "" && !n.Late(), Silent: n.Silent.Seconds()}
	if host, err := os.Hostname(); err == nil && host == n.Host && n.Listens {
		if one.Here, _ = answerHere(ctx, cfg, n.Listen); one.Here != readyHere {
			one.Ready = false
		}
	}
	d.OK = d.OK && one.Ready
	d.Nodes = append(d.Nodes, one)
	hash := cmp.Or(n.Config, "not told")
	d.Configurations[hash] = append(d.Configurations[hash], n.ID)
}

const readyHere = "ready"

// answerHere asks a node on this host itself, and says whether anybody answered.
func answerHere(ctx context.Context, cfg *config.Config, listen string) (text string, answered bool) {
	status, err := probe(ctx, cfg, listen, "/readyz")
	switch {
	case err != nil:
		return "no answer: " + err.Error(), false
	case status != http.StatusOK:
		return fmt.Sprintf("/readyz answers %d", status), true
	}
	return readyHere, true
}

func (d *deploymentStatus) verdict() error {
	switch {
	case len(d.Nodes) == 0:
		return exitError{errQuiet, noNodes}
	case !d.OK:
		return errQuiet
	}
	return nil
}

// text is a table, a line for what is wrong with each node, and a last line about configurations.
func (d *deploymentStatus) text() string {
	if len(d.Nodes) == 0 {
		return "no node serves\n"
	}
	t := newTable("NODE", "HOST", "LISTEN", "VERSION", "UP", "READY", "CHANGES", "FEED", "PENDING", "CONFIGURATION")
	var wrong strings.Builder
	for _, n := range d.Nodes {
		ready := "yes"
		if !n.Ready {
			ready = "no"
		}
		t.row(n.ID, n.Host, n.Listen, n.Version, upText(n), ready, ago(n.ChangeAge), ago(n.FeedAge), fmt.Sprint(n.Pending), cmp.Or(n.Config, "-"))
		for _, why := range n.wrong() {
			fmt.Fprintf(&wrong, "%s is not ready: %s\n", printable.Text(n.ID), printable.Text(printable.Redact(why)))
		}
	}
	return t.String() + wrong.String() + d.here() + d.configurationLine()
}

// wrong says why a node is not ready.
func (n nodeStatus) wrong() (list []string) {
	if n.NotReady != "" {
		list = append(list, n.NotReady)
	}
	if n.Late() {
		list = append(list, fmt.Sprintf("it has been silent for %s", n.Node.Silent.Round(time.Second)))
	}
	if n.Here != "" && n.Here != readyHere && len(list) == 0 {
		list = append(list, n.Here)
	}
	return list
}

// here tells of the nodes that answered on this host.
func (d *deploymentStatus) here() string {
	var b strings.Builder
	for _, n := range d.Nodes {
		if n.Here != "" {
			fmt.Fprintf(&b, "on this host: %s at %s: %s\n", printable.Text(n.ID), printable.Text(n.Listen), printable.Text(n.Here))
		}
	}
	return b.String()
}

func (d *deploymentStatus) configurationLine() string {
	hashes := slices.Sorted(maps.Keys(d.Configurations))
	if len(hashes) == 1 {
		return fmt.Sprintf("%d nodes, one configuration: %s\n", len(d.Nodes), hashes[0])
	}
	var list []string
	for _, h := range hashes {
		list = append(list, h+" ("+strings.Join(d.Configurations[h], ", ")+")")
	}
	return "configurations differ: " + printable.Text(strings.Join(list, ", ")) + "\n"
}

func upText(n nodeStatus) string {
	if n.Up == 0 {
		return "since " + moment(n.Started, "-")
	}
	up := time.Duration((n.Up + n.Silent) * float64(time.Second)).Round(time.Second)
	if days := up / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%s", days, (up % (24 * time.Hour)).Round(time.Hour))
	}
	return up.String()
}

// ago shows seconds since something was read; 0: nobody reads it.
func ago(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).Round(10 * time.Millisecond).String()
}

// statusOfMemory asks the one node that there can be, of which nothing more is known.
func statusOfMemory(c *cobra.Command, cfg *config.Config, asJSON bool) error {
	here, answered := answerHere(c.Context(), cfg, cfg.Listen)
	shown := struct {
		OK     bool   `json:"ok"`
		Listen string `json:"listen"`
		Here   string `json:"here"`
	}{here == readyHere, cfg.Listen, here}
	text := fmt.Sprintf("on this host: %s: %s\nWith store = \"memory\" a node has no others, and tells nobody its version and configuration.\n", cfg.Listen, here)
	err := answer(c, asJSON, shown, text)
	switch {
	case err != nil:
		return err
	case !answered:
		return exitError{errQuiet, noNodes}
	case !shown.OK:
		return errQuiet
	}
	return nil
}
