package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
)

// checkFile tells every mistake but those that checks of their own tell better.
func checkFile(_ context.Context, s *subject) (found []Finding) {
	for _, p := range append(s.problems, parts.Check(s.cfg)...) {
		if p.Key != "tokens.not_before" && !strings.HasPrefix(p.Key, "tls.cert_file") && !strings.HasPrefix(p.Key, "tls.key_file") &&
			!strings.HasPrefix(p.Key, "tls.client_ca_file") {
			found = append(found, fault(p.String(), "correct it; docs/reference/config.md has every key"))
		}
	}
	return orOK(found, "the configuration can be read")
}

func checkWarnings(_ context.Context, s *subject) (found []Finding) {
	if len(s.problems) > 0 {
		return []Finding{unknown("the configuration is wrong; see config.file")}
	}
	for _, w := range s.warnings {
		if unread, _, is := strings.Cut(w, ": no client can introspect its tokens"); is && strings.HasPrefix(unread, "scope ") {
			continue // scopes.readable tells it
		}
		found = append(found, warning(w, "change the key that the warning names, or accept what it says"))
	}
	return orOK(found, "a start has nothing to warn of")
}

func checkAdvice(_ context.Context, s *subject) (found []Finding) {
	if len(s.problems) > 0 {
		return []Finding{unknown("the configuration is wrong; see config.file")}
	}
	for _, text := range s.cfg.Advice() {
		what, cure, _ := strings.Cut(text, ": ")
		found = append(found, warning(what, cure))
	}
	return orOK(found, "nothing could be safer, as far as this file tells")
}

func checkNotBefore(ctx context.Context, s *subject) []Finding {
	at := s.cfg.Tokens.NotBefore
	if at.IsZero() {
		return []Finding{ok("not_before is not set")}
	}
	now := s.options.Now()
	if s.cfg.Store == config.StoreRedis {
		if r, err := s.redis(); err == nil {
			if told, err := r.db.Time(ctx); err == nil {
				now = told
			}
		}
	}
	if at.After(now) {
		return []Finding{fault(fmt.Sprintf("not_before is %s, %s ahead: every token is inactive until then", at.UTC().Format(time.RFC3339), at.Sub(now).Round(time.Second)),
			"set [tokens] not_before to the present time or earlier, and look at the clocks")}
	}
	return []Finding{ok("tokens from before " + at.UTC().Format(time.RFC3339) + " are inactive")}
}

// fewDescriptors is where a server is short of connections under ordinary load.
const fewDescriptors = 4096

func checkDescriptors(_ context.Context, s *subject) (found []Finding) {
	const cure = "raise the limit: LimitNOFILE of systemd, ulimit -n of a shell"
	for _, one := range s.serving() {
		if one.Connections > 0 && one.Connections < connections(fewDescriptors) {
			found = append(found, warning(fmt.Sprintf("a listener of the node %s on %s holds %d connections at most", one.ID, one.Host, one.Connections), cure))
		}
	}
	n, told := s.options.Descriptors()
	switch {
	case !told:
		return append(found, unknown("this system does not say how many files a process may open"))
	case n < fewDescriptors:
		return append(found, warning(fmt.Sprintf("a server from this shell may open %d files, so that a listener holds about %d connections", n, connections(n)), cure))
	}
	return orOK(found, fmt.Sprintf("a server from this shell may open %d files", n))
}

// connections is how many a listener holds of a server that may open so many files.
func connections(descriptors uint64) int { return int(min(descriptors/5*4, 1<<16)) } //nolint:gosec // bounded
