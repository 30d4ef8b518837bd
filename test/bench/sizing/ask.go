package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const workers = 64

// kind is a request that takes a value.
type kind struct {
	name, path, client, form string
}

func issue(client string) kind {
	return kind{"issue, " + client, "/oauth2/token", client, "grant_type=client_credentials&scope=orders%3Aread"}
}

func introspect(what string) kind {
	return kind{"introspect, " + what, "/oauth2/introspect", "api", "token="}
}

func revoke() kind { return kind{"revoke, opaque", "/oauth2/revoke", "machine", "token="} }

func logIn(what string) kind {
	return kind{"login, " + what, "/oauth2/token", "app",
		"grant_type=password&scope=orders%3Aread&password=correct+horse+battery+staple&username="}
}

func refreshOnce(what string) kind {
	return kind{"refresh, " + what, "/oauth2/token", "app", "grant_type=refresh_token&refresh_token="}
}

// measure asks once for each value, prints a row, and returns a member of each answer.
func (n *node) measure(ctx context.Context, k kind, values []string, member string) ([]string, error) {
	var net counter
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, DialContext: net.dial}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	before, err := n.state(ctx)
	if err != nil {
		return nil, err
	}
	answers, failures := make([]string, len(values)), make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < len(values) && failures[w] == nil; i += workers {
				answers[i], failures[w] = n.ask(ctx, client, k, values[i], member)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return nil, err
	}
	after, err := n.state(ctx)
	if err != nil {
		return nil, err
	}
	each := func(total int64) string {
		return strconv.FormatFloat(float64(total)/float64(len(values)), 'f', 0, 64)
	}
	fmt.Printf("| %s | %s | %s | %s | %s | %s | %s | %s |\n", k.name, each(after.cpu-before.cpu), each(after.redisCPU-before.redisCPU),
		each(net.out.Load()), each(net.in.Load()), each(after.In-before.In), each(after.Out-before.Out), each(after.used-before.used))
	return answers, nil
}

func (n *node) ask(ctx context.Context, client *http.Client, k kind, value, member string) (string, error) {
	body := k.form + url.QueryEscape(value)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.addr+k.path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(k.client, secret)
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK || bytes.Contains(text, []byte(`"active":false`)) {
		return "", fmt.Errorf("%s: %s: %s", k.name, answer.Status, text)
	}
	if member == "" {
		return "", nil
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	got, ok := members[member].(string)
	if !ok {
		return "", fmt.Errorf("%s: no %s in the answer", k.name, member)
	}
	return got, nil
}

func (n *node) ready() error {
	answer, err := http.Get("http://" + n.addr + "/readyz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz: %s", answer.Status)
	}
	return nil
}

// counter counts the bytes of connections, as the client sees them: without TCP's and IP's.
type counter struct{ in, out atomic.Int64 }

func (c *counter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return &counted{conn, c}, err
}

type counted struct {
	net.Conn
	count *counter
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.count.in.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.count.out.Add(int64(n))
	return n, err
}
