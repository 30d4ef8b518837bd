package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// serverMetadata is what is read of the issuer's metadata (RFC 8414 §2).
type serverMetadata struct {
	Issuer        string `json:"issuer"`
	Introspection string `json:"introspection_endpoint"`
	Feed          string `json:"revocation_feed_endpoint"`
}

// discover reads the issuer's metadata (RFC 8414 §3).
func discover(ctx context.Context, client *http.Client, issuer string) (*serverMetadata, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	u.Path = "/.well-known/oauth-authorization-server" + u.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil) // #nosec G704 -- configured
	if err != nil {
		return nil, err
	}
	m := &serverMetadata{}
	if _, err := getJSON(client, req, maxAnswer, m); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if m.Issuer != issuer {
		return nil, fmt.Errorf("discovery: the metadata names the issuer %q, not %q (RFC 8414 §3.3)", m.Issuer, issuer)
	}
	return m, nil
}

// discovered checks an endpoint of the metadata. An issuer of https never leads to http, whatever
// insecure says.
func discovered(member, endpoint, issuer string, insecure bool) error {
	u, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	if err := secureURL(endpoint, insecure && u.Scheme == "http"); err != nil {
		return fmt.Errorf("discovery: %s: %w", member, err)
	}
	return nil
}

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 256 << 10

// statusError is an answer that is not 200.
type statusError int

func (e statusError) Error() string {
	if e == http.StatusUnauthorized {
		return "the server refuses this resource server's own credentials (401)"
	}
	return fmt.Sprintf("the server answers %d %s", int(e), http.StatusText(int(e)))
}

// lasts says that the answer will be the same until an operator changes something.
func (e statusError) lasts() bool {
	return e < http.StatusInternalServerError && e != http.StatusTooManyRequests && e != http.StatusBadRequest
}

// getJSON sends req and reads a 200 of JSON, at most limit bytes; anything else is an error that
// holds no token.
func getJSON(client *http.Client, req *http.Request, limit int64, into any) (http.Header, error) {
	header, _, err := getJSONText(client, req, limit, into)
	return header, err
}

// getJSONText is getJSON with the text that it read.
func getJSONText(client *http.Client, req *http.Request, limit int64, into any) (http.Header, []byte, error) {
	res, err := client.Do(req) // #nosec G704 -- to the issuer
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, limit)) // to its end, so that the connection is used again
	if err != nil {
		return nil, nil, err
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, nil, statusError(res.StatusCode)
	case media != "application/json":
		return nil, nil, fmt.Errorf("the server answers %q, not application/json", media)
	case int64(len(body)) == limit:
		return nil, nil, errors.New("the server's answer is too long")
	}
	return res.Header, body, json.Unmarshal(body, into)
}

// dateOf returns when an answer was sent by the server's clock (RFC 9110 §6.6.1). A server that
// does not say it has ours.
func dateOf(h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}
