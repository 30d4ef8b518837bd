package cli

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnitStatus(t *testing.T) {
	var failed error
	u := &unit{where: "[::]:8443", ready: func(context.Context) error { return failed }}
	require.Equal(t, "Serving on [::]:8443", u.status(t.Context()))
	u.old = true
	require.Equal(t, "Serving on [::]:8443; the configuration on disk is not in force, see the log", u.status(t.Context()))
	failed = errors.New("redis: dial redis://grantor:s3cret-pass@10.0.0.1:6379: refused, gcs_0123456789abcdefghijklmnop")
	require.Regexp(t, `^Not ready: redis: .*; the configuration on disk`, u.status(t.Context()))
	require.NotContains(t, u.status(t.Context()), "gcs_0123456789abcdefghijklmnop", "no secret is in a status")
}

func TestUnitAlive(t *testing.T) {
	for code, alive := range map[int]bool{200: true, 500: false, 503: false} {
		u := &unit{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/healthz", r.URL.Path)
			w.WriteHeader(code)
		})}
		require.Equal(t, alive, u.alive(t.Context()) == nil, code)
	}
}
