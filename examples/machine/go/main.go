// A client that gets tokens by its id and secret (RFC 6749 §4.4), and calls an API with them.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Tokens keeps one token for all goroutines, and gets the next one shortly before it expires.
type Tokens struct {
	client clientcredentials.Config

	mu      sync.Mutex // the first caller asks, the others wait for its answer
	token   string
	renewAt time.Time
}

// Get returns a token. refused is a token that an API answered with 401, or "".
func (t *Tokens) Get(ctx context.Context, refused string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == "" || t.token == refused || !time.Now().Before(t.renewAt) {
		answer, err := t.ask(ctx)
		if err != nil {
			return "", err
		}
		lifetime := time.Until(answer.Expiry)
		t.token = answer.AccessToken
		t.renewAt = time.Now().Add(lifetime - min(30*time.Second, lifetime/4)) // by a clock that nobody sets
	}
	return t.token, nil
}

// ask repeats what may be repeated, after the time that Grantor says.
func (t *Tokens) ask(ctx context.Context) (*oauth2.Token, error) {
	for attempt := 0; ; attempt++ {
		answer, err := t.client.Token(ctx)
		if err == nil {
			return answer, nil
		}
		wait := time.Second << attempt
		var refused *oauth2.RetrieveError // nil: there was no answer at all
		if errors.As(err, &refused) {
			if seconds, err := strconv.Atoi(refused.Response.Header.Get("Retry-After")); err == nil {
				wait = time.Duration(seconds) * time.Second
			}
			if !slices.Contains([]int{429, 500, 502, 503, 504}, refused.Response.StatusCode) {
				return nil, err // to repeat the request does not help
			}
		}
		if attempt == 3 || wait > time.Minute {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// call asks the API, and once more with another token if the API refuses the first one.
func call(ctx context.Context, client *http.Client, tokens *Tokens, url string) (int, error) {
	refused := ""
	for {
		token, err := tokens.Get(ctx, refused)
		if err != nil {
			return 0, err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized || refused != "" {
			return answer.StatusCode, nil
		}
		refused = token
	}
}

func main() {
	client := &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	tokens := &Tokens{client: clientcredentials.Config{
		ClientID: os.Getenv("GRANTOR_CLIENT_ID"), ClientSecret: os.Getenv("GRANTOR_CLIENT_SECRET"),
		TokenURL: os.Getenv("ISSUER") + "/oauth2/token", Scopes: []string{"orders:read"}, AuthStyle: oauth2.AuthStyleInHeader,
	}}
	status, errs := [3]int{}, [3]error{}
	var parallel sync.WaitGroup
	for i := range status {
		parallel.Go(func() { status[i], errs[i] = call(ctx, client, tokens, os.Getenv("ORDERS")) })
	}
	parallel.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		fmt.Fprintln(os.Stderr, "no token:", err)
		os.Exit(1)
	}
	fmt.Println(status[0], status[1], status[2])
}
