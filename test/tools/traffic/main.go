// Command traffic asks a token server for tokens over several connections, and about each token by
// introspection, until its standard input ends. Then it says how many requests it sent and how many
// failed. It repeats nothing.
//
//	TRAFFIC_MACHINE_SECRET=… TRAFFIC_API_SECRET=… traffic -url http://127.0.0.1:8080 -connections 16
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// client is one that traffic asks as.
type client struct{ id, secret string }

// traffic counts what was asked.
type traffic struct {
	url          string
	machine, api client
	http         *http.Client
	mu           sync.Mutex
	requests     int
	failures     []string
	last, first  time.Time // of the failures
}

func main() {
	log.SetFlags(0)
	t := &traffic{machine: client{"demo-machine", os.Getenv("TRAFFIC_MACHINE_SECRET")}, api: client{"demo-api", os.Getenv("TRAFFIC_API_SECRET")}}
	flag.StringVar(&t.url, "url", "", "the token server")
	connections := flag.Int("connections", 16, "how many requests at once")
	most := flag.Int("most", 0, "how many requests may fail")
	within := flag.Duration("within", time.Second, "how long after the first failure the last may be")
	flag.Parse()
	t.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: *connections, MaxConnsPerHost: *connections}}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range *connections {
		all.Go(func() { t.work(ctx) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	all.Wait()
	if !t.report(os.Stdout, *most, *within) {
		os.Exit(1)
	}
}

// report says what was counted, and whether no more failed than may, and for no longer.
func (t *traffic) report(w io.Writer, most int, within time.Duration) bool {
	fmt.Fprintf(w, "%d requests, %d failed", t.requests, len(t.failures))
	if len(t.failures) > 0 {
		fmt.Fprintf(w, " within %s, such as: %s", t.last.Sub(t.first).Round(time.Millisecond), t.failures[0])
	}
	fmt.Fprintln(w)
	return t.requests > 0 && len(t.failures) <= most && t.last.Sub(t.first) <= within
}

func (t *traffic) work(ctx context.Context) {
	for ctx.Err() == nil {
		var got struct {
			AccessToken string `json:"access_token"`
			Active      bool
		}
		if !t.ask("/oauth2/token", t.machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}, &got) {
			continue
		}
		if t.ask("/oauth2/introspect", t.api, url.Values{"token": {got.AccessToken}}, &got) && !got.Active {
			t.count("a token that was just issued is not active")
		}
	}
}

// ask posts a form and reads the answer. It counts the request, and what is wrong with the answer.
func (t *traffic) ask(path string, as client, form url.Values, answer any) bool {
	wrong := ""
	req, err := http.NewRequest(http.MethodPost, t.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(as.id, as.secret)
	res, err := t.http.Do(req)
	if err != nil {
		wrong = err.Error()
	} else {
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(answer); err != nil || res.StatusCode != http.StatusOK {
			wrong = fmt.Sprintf("%s answers %s", path, res.Status)
		}
	}
	t.mu.Lock()
	t.requests++
	t.mu.Unlock()
	if wrong != "" {
		t.count(wrong)
	}
	return wrong == ""
}

func (t *traffic) count(wrong string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if len(t.failures) == 0 {
		t.first = now
	}
	t.last, t.failures = now, append(t.failures, wrong)
}
