package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type issued struct {
	status int
	token  string
}

// issue asks the public listener for a token.
func (d *desk) issue(t *testing.T, id, secret string) issued {
	t.Helper()
	return d.ask(t, id, secret, url.Values{"grant_type": {"client_credentials"}})
}

func (d *desk) ask(t *testing.T, id, secret string, form url.Values) issued {
	t.Helper()
	if secret == "" {
		form.Set("client_id", id)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.public+"/oauth2/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		r.SetBasicAuth(id, secret)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return issued{res.StatusCode, answer.Token}
}
