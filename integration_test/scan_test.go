package integration_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// evidence is everything that the processes of the whole suite wrote, and every secret that they
// were sent: at its end the one must not hold the other (S-30 to S-33, V-33).
type evidence struct {
	mu        sync.Mutex
	processes []*process
	secrets   map[string]bool
	more      []string // texts beside logs: metrics, traces, what Redis held
}

var seen = &evidence{secrets: map[string]bool{}}

func (e *evidence) watch(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.processes = append(e.processes, p)
}

// secret remembers what must be found nowhere. Short ones cannot be told from words.
func (e *evidence) secret(list ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range list {
		if len(s) >= 12 {
			e.secrets[s] = true
		}
	}
}

// text remembers what was read elsewhere.
func (e *evidence) text(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.more = append(e.more, text)
}

// tokenLike finds tokens, secrets and JWTs, whole or cut: more than eight characters behind their
// mark. (A jti may begin with eyJ by chance.)
var tokenLike = regexp.MustCompile(`(?:gat|grt|gcs|grg|gak)_[0-9A-Za-z]{9,}|eyJhbGci[0-9A-Za-z_-]{4,}`)

// printed are lines that show a demo secret on purpose: the ones to paste.
var printed = regexp.MustCompile(`(?m)^  (?:TOKEN=|REFRESH=|GRANTOR_CLIENT_ID=|curl ).*$`)

// clean says whether no secret is in what was written, and tells those that are by where they were
// found.
func (e *evidence) clean(out io.Writer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	texts := append([]string{}, e.more...)
	for _, p := range e.processes {
		if p.Cmd.Args[0] != "" && !strings.Contains(p.Cmd.Args[0], "grantor-program") {
			continue // an example's own output
		}
		texts = append(texts, printed.ReplaceAllString(p.Out.String(), ""), p.Log.String())
	}
	hits, size := 0, 0
	for _, text := range texts {
		size += len(text)
		if m := tokenLike.FindString(text); m != "" {
			hits++
			fmt.Fprintf(out, "a token or secret was written: %.12s…\n", m)
		}
		for s := range e.secrets {
			for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s)), url.QueryEscape(s)} {
				if strings.Contains(text, form) {
					hits++
					fmt.Fprintln(out, "a secret of", len(s), "characters was written")
				}
			}
		}
	}
	fmt.Fprintf(out, "S-30 %d texts of %d processes, %d kB, searched for %d secrets and every token: %d hits\n", len(texts), len(e.processes), size>>10, len(e.secrets), hits)
	return hits == 0
}
