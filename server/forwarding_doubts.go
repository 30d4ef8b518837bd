package server

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
)

// maxDoubted is of how many peers is said why their headers are not believed.
const maxDoubted = 32

// doubted remembers of whom was said what.
type doubted struct {
	mu   sync.Mutex
	seen map[doubtOf]struct{}
}

type doubtOf struct {
	peer netip.Addr
	why  doubt
}

// first says whether this was not said before. It stops at maxDoubted.
func (d *doubted) first(peer netip.Addr, why doubt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[doubtOf]struct{}{}
	}
	if _, said := d.seen[doubtOf{peer, why}]; said || len(d.seen) >= maxDoubted {
		return false
	}
	d.seen[doubtOf{peer, why}] = struct{}{}
	return true
}

// warn logs, once for each peer, why all clients behind it count as one address.
func (d *doubted) warn(log *slog.Logger, x *exchange, peer netip.Addr, why doubt) {
	if !d.first(peer, why) {
		return
	}
	shown := "a Unix socket"
	if peer.IsValid() {
		shown = peer.String()
	}
	message, hint := adviceFor(why, peer, shown)
	log.WarnContext(x, message, "peer", shown, "hint", hint, "request_id", x.id)
}

// adviceFor returns what is wrong and what the operator can do.
func adviceFor(why doubt, peer netip.Addr, shown string) (message, hint string) {
	const notTrustedMessage = "X-Forwarded-For ignored: the peer is not in trusted_proxies"
	switch {
	case why == notReadable:
		return "a trusted proxy sends an invalid address in X-Forwarded-For",
			"let the proxy append the address of its peer"
	case why == otherHeaders:
		return "a trusted proxy sends X-Real-IP or Forwarded; both are ignored",
			"let the proxy append to X-Forwarded-For"
	case !peer.IsValid():
		return notTrustedMessage, "let the proxy connect by TCP"
	}
	return notTrustedMessage, fmt.Sprintf("if it is your proxy: trusted_proxies = [%q]", shown)
}
