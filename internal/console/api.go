package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// answer keeps an answer of the admin API.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(text)
}

// ask asks the admin API of this process as the operator, and reads the answer into one; nil: there
// is nothing to read. A refusal is a *pageError with the description of the API.
func (c *Console) ask(v *visit, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(v.r.Context(), method, path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.RemoteAddr, r.Host, r.RequestURI = v.r.RemoteAddr, v.r.Host, path
	r.Header.Set("Content-Type", "application/json")
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"} { // whose request it is, for the trail
		if values := v.r.Header.Values(name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	a := &answer{header: http.Header{}}
	c.cfg.API(v.Actor).ServeHTTP(a, r)
	return a.read(into)
}

// read reads an answer. What was made and is not confirmed is read too: it may hold a secret.
func (a *answer) read(into any) error {
	if into != nil && a.body.Len() > 0 {
		if err := json.Unmarshal(a.body.Bytes(), into); err != nil {
			return fmt.Errorf("an answer of the admin API: %w", err)
		}
	}
	if a.status < http.StatusBadRequest {
		return nil
	}
	var refused struct {
		Description string `json:"error_description"`
		Outcome     string `json:"outcome"`
	}
	if err := json.Unmarshal(a.body.Bytes(), &refused); err != nil || refused.Description == "" {
		return fmt.Errorf("the admin API answered %d", a.status)
	}
	return &pageError{status: a.status, text: refused.Description, outcome: refused.Outcome}
}
