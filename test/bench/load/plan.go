// Package load sends requests and measures: by wrk where it is installed, else by goroutines of its
// own. What is sent is a Plan, the same for both.
package load

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"
)

// Kind is one sort of request: POST to Path at Addr with HTTP Basic; the body is Prefix and a
// value. With Bearer it is a GET, and the value is the token.
type Kind struct {
	Name, Addr, Path, Basic, Prefix string
	Bearer                          bool
	Bound                           bool           // answers must speak of a token that is bound to a key
	Roots                           *x509.CertPool // whom TLS trusts; nil: plain HTTP
}

// Step is one request of a plan.
type Step struct {
	Kind  int
	Value string
}

// Mode is how the steps of a plan are used.
type Mode string

// The modes.
const (
	Cycle Mode = "cycle" // again and again
	Once  Mode = "once"  // each once; then the run ends
	Chain Mode = "chain" // the first values of chains: each answer's refresh_token is the next value
)

// Plan is what a run sends. All its kinds have one address, for that is what wrk connects to.
type Plan struct {
	Mode   Mode
	Kinds  []Kind
	Steps  []Step
	Proofs []string // of DPoP: each request sends the next, and after the last the run ends; nil: none are sent
}

// Of makes a plan of one kind.
func Of(mode Mode, k Kind, values ...string) Plan {
	p := Plan{Mode: mode, Kinds: []Kind{k}}
	for _, v := range values {
		p.Steps = append(p.Steps, Step{Value: v})
	}
	return p
}

// Split takes from the end of a plan what a warm-up uses up and the measurement must not see again.
// A plan of requests that can be repeated is not cut.
func (p Plan) Split(connections int) (warm, rest Plan) {
	warm, rest = p, p
	if n := len(p.Proofs) / 5; n > 0 {
		warm.Proofs, rest.Proofs = p.Proofs[:n], p.Proofs[n:]
	}
	n := 0
	switch {
	case p.Mode == Chain:
		n = connections
	case p.Mode == Once || len(p.Kinds) > 1:
		n = len(p.Steps) / 10
	default:
		return warm, rest
	}
	warm.Steps, rest.Steps = p.Steps[len(p.Steps)-n:], p.Steps[:len(p.Steps)-n]
	if len(p.Kinds) > 1 {
		warm.Mode = Once
	}
	return warm, rest
}

// Result is what a run measured.
type Result struct {
	Requests      int
	Elapsed       time.Duration
	P50, P99, Max time.Duration
	Errors        int    // answers of status 400 and above, failed connections, timeouts, wrong bodies
	FirstError    string // of the run by goroutines
}

// Rate is requests a second.
func (r Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// addr is where a plan is sent.
func (p Plan) addr() string { return p.Kinds[0].Addr }

// url is addr for wrk.
func (p Plan) url() string {
	if p.Kinds[0].Roots != nil {
		return "https://" + p.addr()
	}
	return "http://" + p.addr()
}

func (k Kind) head() string {
	if k.Bearer {
		return "GET " + k.Path + " HTTP/1.1\r\nHost: " + k.Addr + "\r\nAuthorization: Bearer "
	}
	return "POST " + k.Path + " HTTP/1.1\r\nHost: " + k.Addr + "\r\nAuthorization: Basic " + k.Basic +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\n"
}

func (k Kind) request(dst []byte, value, proof string) []byte {
	dst = append(dst, k.head()...)
	if k.Bearer {
		return append(append(dst, value...), "\r\n\r\n"...)
	}
	if proof != "" {
		dst = append(append(append(dst, "DPoP: "...), proof...), "\r\n"...)
	}
	dst = fmt.Appendf(dst, "Content-Length: %d\r\n\r\n", len(k.Prefix)+len(value))
	return append(append(dst, k.Prefix...), value...)
}

// write puts the plan into a file that wrk.lua reads: the mode, then one line per kind, per step,
// and per proof.
func (p Plan) write(path string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %d %d\n", p.Mode, len(p.Kinds), len(p.Steps))
	for _, k := range p.Kinds {
		form := "form"
		if k.Bearer {
			form = "bearer"
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\n", form, strings.ReplaceAll(k.head(), "\r\n", "\\r\\n"), k.Prefix)
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%d %s\n", s.Kind+1, s.Value)
	}
	for _, proof := range p.Proofs {
		b.WriteString(proof + "\n")
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}
