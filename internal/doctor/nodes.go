package doctor

import (
	"context"
	"fmt"
)

func checkNodes(_ context.Context, s *subject) (found []Finding) {
	nodes, err := s.nodes()
	if err != nil {
		return []Finding{unknown("the nodes cannot be listed: " + err.Error())}
	}
	for _, n := range nodes {
		if n.Late() {
			found = append(found, warning(fmt.Sprintf("the node %s on %s has been silent for %s", n.ID, n.Host, n.Silent.Round(rounded)), "look whether it was ended, or cannot reach Redis"))
		} else if n.NotReady != "" {
			found = append(found, warning(fmt.Sprintf("the node %s on %s is not ready: %s", n.ID, n.Host, n.NotReady), "look at its log; grantor status shows all nodes"))
		}
	}
	if len(nodes) == 0 {
		return []Finding{ok("no node serves")}
	}
	return orOK(found, fmt.Sprintf("%d nodes are ready", len(nodes)))
}

func checkConfigurations(_ context.Context, s *subject) (found []Finding) {
	nodes, err := s.nodes()
	if err != nil {
		return []Finding{unknown("the nodes cannot be listed: " + err.Error())}
	}
	if len(s.problems) > 0 {
		return []Finding{unknown("the configuration is wrong; see config.file")}
	}
	own, same := s.cfg.Fingerprint(), 0
	for _, n := range nodes {
		switch n.Config {
		case own:
			same++
		case "":
			found = append(found, unknown(fmt.Sprintf("the node %s on %s is of a version that does not tell its configuration", n.ID, n.Host)))
		default:
			found = append(found, warning(fmt.Sprintf("the node %s on %s holds the configuration %s, and this file is %s", n.ID, n.Host, n.Config, own),
				"reload the node, or restart it: some keys take effect at a start alone. Or run this with the file and the GRANTOR_ variables of that node"))
		}
	}
	if len(nodes) == 0 {
		return []Finding{ok("no node serves; this file is the configuration " + own)}
	}
	return orOK(found, fmt.Sprintf("%d nodes hold the configuration of this file, %s", same, own))
}
