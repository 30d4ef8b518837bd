package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// configuration is filled with issuer, listener, store, lease and the listener of metrics.
const configuration = `issuer = "http://%s"
listen = "%s"
%s
feed.lease = "%s"
metrics = { listen = "%s", pprof = true }
audit.output = ""
log.level = "warn"
[scopes]
"a" = {}
[[clients]]
client_id = "machine"
grant_types = ["client_credentials"]
scope = "a"
default_scope = "a"
secrets = [{ hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }]
[[clients]]
client_id = "api"
introspect = "any"
secrets = [{ hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }]
`

const secret = "secret" // its hash stands above

// polled is what all pollers saw.
type polled struct {
	mu      sync.Mutex
	polls   int
	late    []time.Duration // from the answer to a revocation to its name in an answer to a poll
	ended   map[string]time.Time
	early   map[string]int // names that came before the revocation was answered
	failure error
}

func (p *polled) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls, p.late, p.ended, p.early = 0, nil, map[string]time.Time{}, map[string]int{}
}

func (p *polled) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.polls, 1)
}

func (p *polled) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = errors.Join(p.failure, err)
}

func (p *polled) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func (p *polled) report(took time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%.0f polls/s", float64(p.polls)/took.Seconds())
	for _, n := range p.early { // a name that came first was in time
		p.late = append(p.late, make([]time.Duration, n)...)
	}
	if len(p.late) > 0 {
		text += fmt.Sprintf("; revoked (200) to polled: p50 %s, p99 %s, worst %s of %d", percentile(p.late, .5), percentile(p.late, .99), percentile(p.late, 1), len(p.late))
	}
	return text
}

// answered takes an answer to a poll.
func (p *polled) answered(names []string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls++
	for _, name := range names {
		if at, ok := p.ended[name]; ok {
			p.late = append(p.late, now.Sub(at))
		} else if p.early != nil {
			p.early[name]++
		}
	}
}

// connect asks on one connection until ctx ends.
func connect(ctx context.Context, addr string, after time.Duration, all *polled, ask func(*verifier) error) {
	time.Sleep(after)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		all.fail(err)
		return
	}
	defer c.Close()
	context.AfterFunc(ctx, func() { _ = c.Close() })
	v := &verifier{out: c, in: bufio.NewReader(c), addr: addr, all: all}
	for ctx.Err() == nil {
		if err := ask(v); err != nil {
			if ctx.Err() == nil {
				all.fail(err)
			}
			return
		}
	}
}

// verifier is one connection.
type verifier struct {
	out            net.Conn
	in             *bufio.Reader
	addr, position string
	all            *polled
}

func pollOnce(v *verifier) error {
	body := "after=" + url.QueryEscape(v.position) + "&echo=abcdefgh"
	_, err := fmt.Fprintf(v.out, "POST /oauth2/revocations HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		v.addr, base64.StdEncoding.EncodeToString([]byte("api:"+secret)), len(body), body)
	if err == nil {
		v.position, err = readAnswer(v.in, v.all)
	}
	return err
}

func healthOnce(pause time.Duration) func(*verifier) error {
	return func(v *verifier) error {
		if _, err := fmt.Fprintf(v.out, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", v.addr); err != nil {
			return err
		}
		_, err := readAnswer(v.in, v.all)
		time.Sleep(pause)
		return err
	}
}

func readAnswer(in *bufio.Reader, all *polled) (position string, err error) {
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", errors.Join(err, fmt.Errorf("%s: %s", res.Status, text))
	}
	var answer struct {
		Position string
		Ended    []string
	}
	err = json.Unmarshal(text, &answer)
	all.answered(answer.Ended, time.Now())
	return answer.Position, err
}

// revoke issues and revokes tokens, so many a second.
func revoke(ctx context.Context, addr string, perSecond int, all *polled) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := revokeOne(ctx, addr, all); err != nil && ctx.Err() == nil {
			all.fail(err)
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func revokeOne(ctx context.Context, addr string, all *polled) error {
	var issued struct {
		Token string `json:"access_token"`
	}
	var told struct{ JTI string }
	if err := call(ctx, addr, "/oauth2/token", "machine", "grant_type=client_credentials", &issued); err != nil {
		return err
	}
	if err := call(ctx, addr, "/oauth2/introspect", "api", "token="+issued.Token, &told); err != nil {
		return err
	}
	if err := call(ctx, addr, "/oauth2/revoke", "machine", "token="+issued.Token, &struct{}{}); err != nil {
		return err
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.ended != nil {
		all.ended[told.JTI] = time.Now()
	}
	return nil
}

func call(ctx context.Context, addr, path, client, form string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, strings.NewReader(form))
	if err != nil {
		return err
	}
	req.SetBasicAuth(client, secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(path + ": " + res.Status)
	}
	return json.NewDecoder(res.Body).Decode(answer)
}

func reachable(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// saveProfile writes what the node did with its CPU.
func (n *node) saveProfile(ctx context.Context, file string, d time.Duration) {
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", n.metrics, int(d.Seconds())), nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer res.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer out.Close()
	_, _ = io.Copy(out, res.Body)
}
