package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Check looks at one answer. An error counts, and ends nothing.
type Check func(kind Kind, value string, status int, body []byte) error

// Run runs a plan with goroutines of this process until it ends or d has passed; check sees every
// answer. It is how plans are verified and tokens collected, and it measures where there is no wrk.
func Run(ctx context.Context, p Plan, connections int, d time.Duration, check Check) Result {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	r := &run{plan: p, check: check}
	begun := time.Now()
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() { r.connection(ctx, i) })
	}
	all.Wait()
	out := Result{Requests: len(r.took), Elapsed: time.Since(begun), Errors: r.errors, FirstError: r.first}
	slices.Sort(r.took)
	if n := len(r.took); n > 0 {
		out.P50, out.P99, out.Max = r.took[n/2], r.took[n*99/100], r.took[n-1]
	}
	return out
}

type run struct {
	plan  Plan
	check Check
	next  atomic.Int64

	mu     sync.Mutex
	took   []time.Duration
	errors int
	first  string
}

// connection sends one request after the other and then adds its figures to the run's.
func (r *run) connection(ctx context.Context, index int) {
	var took []time.Duration
	errs, first := 0, ""
	failed := func(err error) {
		if errs++; first == "" {
			first = err.Error()
		}
	}
	c := &client{addr: r.plan.addr()}
	defer c.close()
	value := ""
	for ctx.Err() == nil {
		step, proof, ok := r.step(index, value)
		if !ok {
			break
		}
		kind := r.plan.Kinds[step.Kind]
		begun := time.Now()
		status, body, err := c.do(kind, step.Value, proof)
		took = append(took, time.Since(begun))
		if err == nil && r.check != nil {
			err = r.check(kind, step.Value, status, body)
		} else if err == nil && status >= 400 {
			err = fmt.Errorf("%s: status %d", kind.Name, status)
		}
		if r.plan.Mode == Chain && err == nil {
			value, err = refreshToken(body)
		}
		if err != nil {
			failed(err)
			time.Sleep(time.Millisecond)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took...)
	if r.errors += errs; r.first == "" {
		r.first = first
	}
}

// step is the next request and its proof; false: there is none.
func (r *run) step(index int, value string) (s Step, proof string, ok bool) {
	steps, proofs := r.plan.Steps, r.plan.Proofs
	n := int(r.next.Add(1)) - 1
	if proofs != nil {
		if n >= len(proofs) {
			return s, "", false
		}
		proof = proofs[n]
	}
	switch {
	case r.plan.Mode == Chain && value == "":
		return Step{Value: steps[index%len(steps)].Value}, proof, true
	case r.plan.Mode == Chain:
		return Step{Value: value}, proof, true
	case r.plan.Mode == Once && n >= len(steps):
		return s, "", false
	}
	return steps[n%len(steps)], proof, true
}

var refreshField = []byte(`"refresh_token":"`)

func refreshToken(body []byte) (string, error) {
	_, rest, ok := bytes.Cut(body, refreshField)
	token, _, closed := bytes.Cut(rest, []byte{'"'})
	if !ok || !closed {
		return "", fmt.Errorf("no refresh_token in %s", body)
	}
	return string(token), nil
}

// client is one connection, opened anew when it fails.
type client struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func (c *client) do(k Kind, value, proof string) (int, []byte, error) {
	if c.conn == nil {
		conn, err := dial(c.addr, k.Roots)
		if err != nil {
			return 0, nil, err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(30 * time.Second))
	c.out = k.request(c.out[:0], value, proof)
	status, body, err := c.exchange()
	if err != nil {
		c.close()
	}
	return status, body, err
}

// dial opens a connection; with roots, one of TLS.
func dial(addr string, roots *x509.CertPool) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil || roots == nil {
		return conn, err
	}
	host, _, _ := net.SplitHostPort(addr)
	return tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}), nil
}

func (c *client) exchange() (int, []byte, error) {
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.Close {
		c.close()
	}
	return res.StatusCode, body, err
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Ask sends one request on a connection of its own.
func Ask(k Kind, value string) (int, []byte, error) {
	c := &client{addr: k.Addr}
	defer c.close()
	return c.do(k, value, "")
}
