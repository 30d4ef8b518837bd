package jwt

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// document answers with one text.
type document struct{ text string }

func (d document) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=3600"}},
		Body: io.NopCloser(strings.NewReader(d.text)), Request: r}, nil
}

func TestBundle(t *testing.T) {
	k := keys()
	svid := func(kid string, change map[string]any) string {
		use := map[string]any{"use": "jwt-svid"}
		for name, value := range change {
			use[name] = value
		}
		return jwkOf(t, k.p256.Public(), kid, use)
	}
	x509 := jwkOf(t, k.p384.Public(), "", map[string]any{"use": "x509-svid", "x5c": []string{"AAAA"}})
	bundle := func(hint string, keys ...string) document {
		return document{`{"keys":[` + strings.Join(keys, ",") + `],"spiffe_sequence":12` + hint + `}`}
	}
	for hint, want := range map[string]time.Duration{
		"": time.Hour, `,"spiffe_refresh_hint":300`: 5 * time.Minute, `,"spiffe_refresh_hint":1`: time.Minute, `,"spiffe_refresh_hint":-1`: time.Minute,
		`,"spiffe_refresh_hint":1e300`: time.Hour, `,"spiffe_refresh_hint":"soon"`: time.Hour, `,"spiffe_refresh_hint":null`: time.Hour,
	} {
		t.Run("SPIFFE Trust Domain and Bundle §4.1.2 the refresh hint says how long the keys are fresh, within an hour: "+hint, func(t *testing.T) {
			f := NewFetcher(Options{Transport: bundle(hint, svid("a", nil))})
			defer f.Close()
			set, fresh, err := f.bundle(t.Context(), where)
			require.NoError(t, err)
			require.Equal(t, want, fresh)
			require.Equal(t, []string{"a"}, set.Names())
		})
	}
	for name, c := range map[string]struct {
		key  string
		says string // the log's reason
		warn bool
	}{
		"SV-07 a key for X.509-SVIDs is for something else": {x509, `keys[1]: use must be \"jwt-svid\"`, false},
		"SV-07 a key without use":                           {jwkOf(t, k.p256.Public(), "b", nil), `use must be \"jwt-svid\"`, false},
		"SV-07 use sig":                                     {svid("b", map[string]any{"use": "sig"}), `use must be \"jwt-svid\"`, false},
		"SV-07 use in another case":                         {svid("b", map[string]any{"use": "JWT-SVID"}), `use must be \"jwt-svid\"`, false},
		"SV-07 an unknown kty":                              {`{"kty":"AKP","use":"jwt-svid","kid":"b"}`, "kty", false},
		"SV-07 a key for JWT-SVIDs without kid":             {svid("", nil), "kid is missing", true},
		"SV-07 a private key":                               {jwkOf(t, k.p256, "b", map[string]any{"use": "jwt-svid"}), "public keys only", true},
		"SV-07 a symmetric key":                             {`{"kty":"oct","k":"AAAA","use":"jwt-svid","kid":"b"}`, "symmetric", true},
	} {
		t.Run("SV-09 "+name+": passed over, counted and told of once", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				others, unusable := 0, 0
				f := NewFetcher(Options{Transport: bundle(`,"spiffe_refresh_hint":60`, svid("a", nil), c.key),
					Log: slog.New(slog.NewTextHandler(&log, nil)), PassedOver: func(a, b int) { others, unusable = others+a, unusable+b }})
				defer f.Close()
				r, err := f.Bundle(where)
				require.NoError(t, err)
				for range 5 {
					set, err := r.Keys(t.Context(), "a")
					require.NoError(t, err)
					require.Equal(t, []string{"a"}, set.Names())
					time.Sleep(10 * time.Minute)
				}
				require.Equal(t, 1, strings.Count(log.String(), "passed over"), log.String())
				require.Contains(t, log.String(), c.says)
				require.Equal(t, c.warn, strings.Contains(log.String(), "level=WARN"), log.String())
				require.Equal(t, []bool{!c.warn, c.warn}, []bool{others == 1, unusable == 1})
			})
		})
	}
	t.Run("SV-09 a set with no usable key is a warning", func(t *testing.T) {
		var log strings.Builder
		f := NewFetcher(Options{Transport: bundle("", x509), Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer f.Close()
		r, err := f.Bundle(where)
		require.NoError(t, err)
		set, err := r.Keys(t.Context(), "a")
		require.NoError(t, err)
		require.Zero(t, set.Len())
		require.Contains(t, log.String(), "level=WARN")
	})
	t.Run("SV-07 a key for JWT-SVIDs is none of an issuer, nor of a client", func(t *testing.T) {
		_, err := ParseKeySet([]byte(setOf(svid("a", nil))))
		require.ErrorContains(t, err, `use must be "sig"`)
		f := NewFetcher(Options{Transport: document{setOf(svid("a", nil))}})
		defer f.Close()
		set, _, err := f.set(t.Context(), where)
		require.NoError(t, err)
		require.Zero(t, set.Len())
	})
	t.Run("SV-07 the same URL as bundle and as key set: two sources", func(t *testing.T) {
		f := NewFetcher(Options{Transport: bundle("", svid("a", nil))})
		defer f.Close()
		b, err := f.Bundle(where)
		require.NoError(t, err)
		s, err := f.Remote(where)
		require.NoError(t, err)
		require.NotSame(t, b, s)
	})
	for name, text := range map[string]string{"no set": `{}`, "no JSON": `<html>`} {
		t.Run("SPIFFE Trust Domain and Bundle §4.1 "+name+" is an error", func(t *testing.T) {
			f := NewFetcher(Options{Transport: document{text}})
			defer f.Close()
			_, _, err := f.bundle(t.Context(), where)
			require.Error(t, err)
		})
	}
}
