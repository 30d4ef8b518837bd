package doctor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/doctor"
)

// platform is a trusted issuer whose key set is a text.
func (d *deployment) platform(status int, keys string) {
	d.t.Helper()
	s := httptest.NewUnstartedServer(answers(status, keys))
	s.TLS = d.ca.tls(nil)
	s.StartTLS()
	d.t.Cleanup(s.Close)
	issuer := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	d.text += fmt.Sprintf("[[trusted_issuers]]\nissuer = %q\njwks_uri = \"%s/keys\"\nca_file = %q\n", issuer, issuer, d.ca.file)
}

// TestPlantedAtTrustedIssuers: keys of a platform that a node could not fetch.
func TestPlantedAtTrustedIssuers(t *testing.T) {
	srv := startRedis(t)
	const key = `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	t.Run("it is sound", func(t *testing.T) {
		d := sound(t, srv.URL)
		d.platform(http.StatusOK, key)
		r := d.run()
		require.Equal(t, unserved(), notable(r), "%v", r.Findings)
		require.Contains(t, of(r, "issuers.keys")[0].Text, "1 trusted issuers")
	})
	for name, c := range map[string]struct {
		plant func(d *deployment)
		text  string
	}{
		"RFC 7517 §5 there is no key":  {func(d *deployment) { d.platform(http.StatusOK, `{"keys":[]}`) }, "trusted issuer https://localhost:"},
		"it answers with an error":     {func(d *deployment) { d.platform(http.StatusNotFound, "") }, "404"},
		"it answers with another page": {func(d *deployment) { d.platform(http.StatusOK, "<html>") }, "cannot be fetched"},
		"an authority that is not in ca_file": {func(d *deployment) {
			d.platform(http.StatusOK, key)
			head, tail, _ := strings.Cut(d.text, "[[trusted_issuers]]")
			d.text = head + "[[trusted_issuers]]" + strings.Replace(tail, d.ca.file, newAuthority(d.t, nil).file, 1)
		}, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			d := sound(t, srv.URL)
			c.plant(d)
			r := d.run()
			require.ElementsMatch(t, append(unserved(), "fault issuers.keys"), notable(r), "%v", r.Findings)
			requireFound(t, r, "issuers.keys", doctor.Fault, c.text)
		})
	}
}
