package jws

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestParse(t *testing.T) {
	good := part(`{"alg":"ES256","typ":"at+jwt","kid":"k"}`)
	token, err := Parse(good + ".a.b")
	require.NoError(t, err)
	require.Equal(t, Parts{Header: Header{Algorithm: "ES256", Type: "at+jwt", KeyID: "k"}, Protected: good, Payload: "a", Signature: "b"}, token)
	for name, text := range map[string]string{
		"empty": "", "no dot": "gat_x", "RFC 7516 §3.1 five parts": good + ".a.b.c.d", "two parts": good + ".a", "four parts": good + ".a.b.c",
		"V-25 CVE-2025-27144 dots alone": strings.Repeat(".", 20_000), "no header": ".a.b", "RFC 7515 §2 padding": part("{}") + "=.a.b",
		"RFC 7515 §2 a line end": good[:4] + "\n" + good[4:] + ".a.b", "RFC 7515 §2 bits that mean nothing": part(`{} `)[:3] + "B.a.b",
		"standard base64": base64.RawStdEncoding.EncodeToString([]byte(`{"a":"???"}`)) + ".a.b",
	} {
		_, err := Parse(text)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

// headers are headers with what is read of them; nil: refused.
var headers = map[string]*Header{
	`{}`:              {},
	`{"alg":"ES256"}`: {Algorithm: "ES256"},
	`{"kid":"k","typ":"application/AT+jwt","alg":"x"}`: {Algorithm: "x", Type: "at+jwt", KeyID: "k"},
	`{"alg":""}`:                           {},
	` { "alg" : "ES256" } `:                {Algorithm: "ES256"},
	`{"alg":"\u0045S256","kid":"é"}`:       {Algorithm: "ES256", KeyID: "é"},
	`{"alg":"ES256","Alg":"none"}`:         {Algorithm: "ES256", Others: true},
	`{"alg":"ES256","crit":["exp"]}`:       {Algorithm: "ES256", Extension: true, Others: true},
	`{"alg":"ES256","b64":false}`:          {Algorithm: "ES256", Extension: true, Others: true},
	`{"alg":"ES256","crit":null}`:          {Algorithm: "ES256", Extension: true, Others: true},
	`{"alg":"ES256","x":[{"y":1}]}`:        {Algorithm: "ES256", Others: true},
	`{"alg":"ES256","alg":"none"}`:         nil,
	`{"alg":"","alg":"none"}`:              nil,
	`{"x":1,"x":1}`:                        nil,
	`{"alg":1}`:                            nil,
	`{"alg":null}`:                         nil,
	`{"kid":{}}`:                           nil,
	`["ES256"]`:                            nil,
	`{"alg":"ES256"}{}`:                    nil,
	`{"alg":"ES256",}`:                     nil,
	`{"alg":"ES256"`:                       nil,
	`{"alg"}`:                              nil,
	`{"alg":"a` + "\x00" + `"}`:            nil,
	"{\"alg\":\"ES256\",\"kid\":\"\xff\"}": nil,
	`null`:                                 nil,
	``:                                     nil,
}

func TestHeaders(t *testing.T) {
	for text, want := range headers {
		h, err := readHeader([]byte(text))
		if want == nil {
			require.ErrorIs(t, err, ErrMalformed, "RFC 7515 §4 %s", text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, *want, h, "RFC 7515 §4.1 %s", text)
	}
}

func TestHasForm(t *testing.T) {
	for token, want := range map[string]bool{"": false, "gat_x": false, "a.b.c": false, "..": false, "e.b.c": false, part(`{"alg":"ES256"}`) + ".a.b": true,
		part(`{ "alg"`) + ".a.b": true, part("{\n") + ".a.b": true, part("{}") + ".a.b.c": false, part("{}") + ".a": false, part("[]") + ".a.b": false} {
		require.Equal(t, want, HasForm(token), token)
	}
}

// FuzzCanonical holds the quick look at a part's spelling against decoding it.
func FuzzCanonical(f *testing.F) {
	for _, text := range []string{"", "e30", "e30=", "e31", "e\n30", "AAAAA", "AAAA", "A*AA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, part string) {
		if _, err := Decode(part); err == nil {
			require.True(t, Canonical(part))
		}
	})
}
