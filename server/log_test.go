package server

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// told are the lines of the log that name a request, at a level.
func (f *fixture) told(t *testing.T, id, level string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(f.log.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		if m["request_id"] == id && m["level"] == level {
			list = append(list, m)
		}
	}
	return list
}

func TestLogOfFailures(t *testing.T) {
	f := start(t)
	f.server.public.GET("/panic-later", f.server.do("none", func(x *exchange) error { writeJSON(x, 200, map[string]string{}); panic("x") }))
	f.server.public.GET("/panic-now", f.server.do("none", func(*exchange) error { panic("x") }))
	one := func(t *testing.T, r reply) map[string]any {
		t.Helper()
		lines := f.told(t, r.header.Get("X-Request-Id"), "ERROR")
		require.Len(t, lines, 1, f.log.String())
		require.IsType(t, float64(0), lines[0]["took_ms"])
		require.Less(t, lines[0]["took_ms"].(float64), 60_000.0)
		return lines[0]
	}
	t.Run("S-33 a failure is one line of the log, with its cause", func(t *testing.T) {
		f.store.broken = errors.New("inner cause")
		line := one(t, f.post(t, tokP, app, ask))
		f.store.broken = nil
		require.Equal(t, "inner cause", line["error"])
		require.EqualValues(t, 503, line["status"])
	})
	t.Run("S-33 a panic is one line, before and after the answer began", func(t *testing.T) {
		for _, path := range []string{"/panic-now", "/panic-later"} {
			line := one(t, f.call(t, "GET", path, ""))
			require.Contains(t, line["panic_at"], "TestLogOfFailures", path)
		}
	})
}

func TestErrorsNameTheCulprit(t *testing.T) {
	f := start(t)
	said := func(body string) string { return f.post(t, tokP, app, body).text("error_description") }
	t.Run("§5.2 which parameter, of those that there are", func(t *testing.T) {
		require.Contains(t, said(ask+"&scope=a&scope=b"), "scope")
		require.Contains(t, said(ask+"&token=a&token=b"), "token")
		require.Contains(t, said(ask+"&scope=%ff"), "scope")
		for _, strange := range []string{"evil", "gcs_0123456789abcdef", "<script>", "a b"} {
			require.NotContains(t, said(ask+"&"+url.QueryEscape(strange)+"=1&"+url.QueryEscape(strange)+"=2"), strange)
		}
	})
	t.Run("§5.2 which scope, where it is made of what names are made of", func(t *testing.T) {
		require.Contains(t, said(ask+"&scope=orders:read+orders:reed"), "orders:reed")
		for _, strange := range []string{"<script>", "a'b", "gcs_0123456789abcdef", strings.Repeat("x", 101)} {
			require.NotContains(t, said(ask+"&scope="+url.QueryEscape(strange)), strange)
		}
	})
}
