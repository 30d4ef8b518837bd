package assertions

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// downKeys are keys that cannot be fetched.
type downKeys struct{}

func (downKeys) Keys(context.Context, string) (*jwt.KeySet, error) { return nil, errDown }

// subjectReason verifies a JWT that is exchanged, and returns why it is refused, "" if it is not.
func (w *world) subjectReason(t *testing.T, token string) RejectionReason {
	t.Helper()
	s, err := w.VerifySubject(t.Context(), token)
	if err == nil {
		require.NotEmpty(t, s.Subject)
		return ""
	}
	require.Nil(t, s)
	var refused *Rejection
	require.ErrorAs(t, err, &refused)
	return refused.Reason
}

func TestSubject(t *testing.T) {
	w, k := newWorld(t), keys()
	now := w.clock.Unix()
	good := func(change map[string]any) map[string]any {
		c := w.workload(map[string]any{"aud": us})
		for name, v := range change {
			if c[name] = v; v == nil {
				delete(c, name)
			}
		}
		return c
	}
	token := func(change map[string]any) string { return sign(t, "ES256", "p", k.platform, good(change)) }
	t.Run("TX-03 a JWT of a trusted issuer says whom it speaks for", func(t *testing.T) {
		s, err := w.VerifySubject(t.Context(), token(map[string]any{"may_act": map[string]any{"sub": "a"}, "cnf": map[string]any{"jkt": "x"}, "act": map[string]any{"sub": "b"}}))
		require.NoError(t, err)
		require.Equal(t, []any{platform, pod, now + 3600}, []any{s.Issuer, s.Subject, s.Expires.Unix()})
		require.Equal(t, []any{true, true, `{"sub":"a"}`}, []any{s.Bound, s.Acted, string(s.MayAct)})
		s, err = w.VerifySubject(t.Context(), token(nil))
		require.NoError(t, err)
		require.Equal(t, []any{false, false, []byte(nil)}, []any{s.Bound, s.Acted, s.MayAct})
	})
	t.Run("TX-03 RFC 7523 §3 item 3 aud is our issuer, or our token endpoint", func(t *testing.T) {
		require.Empty(t, w.subjectReason(t, token(map[string]any{"aud": endpoint})))
		require.Empty(t, w.subjectReason(t, token(map[string]any{"aud": []string{us}})))
	})
	for _, typ := range []string{"JWT", "at+jwt", "application/at+jwt", "authorization-grant+jwt"} {
		t.Run("TX-03 typ "+typ, func(t *testing.T) {
			require.Empty(t, w.subjectReason(t, forge(`{"alg":"ES256","kid":"p","typ":"`+typ+`"}`, good(nil), es256(k.platform))))
		})
	}
	for _, typ := range []string{"logout+jwt", "client-authentication+jwt", "dpop+jwt", "secevent+jwt", "JOSE"} {
		t.Run("TX-03 RFC 8725 §3.11 typ "+typ+" is refused", func(t *testing.T) {
			require.Equal(t, ReasonType, w.subjectReason(t, forge(`{"alg":"ES256","kid":"p","typ":"`+typ+`"}`, good(nil), es256(k.platform))))
		})
	}
	for name, c := range map[string]struct {
		change map[string]any
		want   RejectionReason
	}{
		"another aud":                   {map[string]any{"aud": "https://vault"}, ReasonAudience},
		"no aud":                        {map[string]any{"aud": nil}, ReasonAudience},
		"another aud beside ours":       {map[string]any{"aud": []string{us, "https://vault"}}, ReasonAudience},
		"no exp":                        {map[string]any{"exp": nil}, ReasonNoExpiry},
		"expired":                       {map[string]any{"exp": now - 60}, ReasonExpired},
		"exp more than a day ahead":     {map[string]any{"exp": now + 86401}, ReasonTooLong},
		"nbf ahead":                     {map[string]any{"nbf": now + 61}, ReasonNotYet},
		"iat ahead":                     {map[string]any{"iat": now + 61}, ReasonNotYet},
		"no sub":                        {map[string]any{"sub": nil}, ReasonSubject},
		"an empty sub":                  {map[string]any{"sub": ""}, ReasonSubject},
		"a sub that is too long":        {map[string]any{"sub": strings.Repeat("x", 256)}, ReasonSubject},
		"a sub that is no text":         {map[string]any{"sub": 7}, ReasonMalformed},
		"an issuer that is not trusted": {map[string]any{"iss": "https://evil.example"}, ReasonIssuer},
		"our own issuer":                {map[string]any{"iss": us}, ReasonIssuer},
		"no iss":                        {map[string]any{"iss": nil}, ReasonIssuer},
		"a jti that is too long":        {map[string]any{"jti": strings.Repeat("j", 256)}, ReasonNoJTI},
	} {
		t.Run("TX-03 RFC 7523 §3 "+name+" is refused", func(t *testing.T) { require.Equal(t, c.want, w.subjectReason(t, token(c.change))) })
	}
	t.Run("TX-03 RFC 8725 §3.1 other keys and algorithms are refused", func(t *testing.T) {
		require.Equal(t, ReasonSignature, w.subjectReason(t, sign(t, "ES256", "p", k.foreign, good(nil))))
		require.Equal(t, ReasonUnknownKey, w.subjectReason(t, sign(t, "ES256", "k1", k.client, good(nil))))
		require.Equal(t, ReasonAlgorithm, w.subjectReason(t, forge(`{"alg":"none"}`, good(nil), func([]byte) []byte { return nil })))
		require.Equal(t, ReasonAlgorithm, w.subjectReason(t, forge(`{"alg":"HS256","kid":"p"}`, good(nil), hs256([]byte("p")))))
		require.Equal(t, ReasonMalformed, w.subjectReason(t, "no.jwt.here"))
	})
	t.Run("TX-03 the issuer is made out before any key is asked for", func(t *testing.T) {
		require.Equal(t, platform, w.IssuerOf(token(nil)))
		require.Empty(t, w.IssuerOf(token(map[string]any{"iss": us})))
		require.Empty(t, w.IssuerOf("gat_x"))
		require.True(t, w.Trusts(platform))
		require.False(t, w.Trusts(us))
	})
	t.Run("RFC 7523 §3 the keys of the issuer cannot be fetched: no answer", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Issuers[0].Keys = downKeys{} })
		_, err := w.VerifySubject(t.Context(), token(nil))
		require.ErrorIs(t, err, ErrKeysUnavailable)
	})
}

func TestSubjectOnce(t *testing.T) {
	w, k := newWorld(t), keys()
	verified := func(change map[string]any) *Subject {
		c := w.workload(map[string]any{"aud": us})
		for name, v := range change {
			c[name] = v
		}
		s, err := w.VerifySubject(t.Context(), sign(t, "ES256", "p", k.platform, c))
		require.NoError(t, err)
		return s
	}
	t.Run("TX-03 RFC 7523 §3 item 7 a JWT with a jti is exchanged once, until it has expired on all nodes", func(t *testing.T) {
		s := verified(map[string]any{"jti": "1"})
		require.NoError(t, w.UseSubject(t.Context(), s))
		var refused *Rejection
		require.ErrorAs(t, w.UseSubject(t.Context(), s), &refused)
		require.Equal(t, ReasonReplayed, refused.Reason)
		require.GreaterOrEqual(t, w.memory.ttls[0], time.Hour+skew+clockGap)
		require.NoError(t, w.UseSubject(t.Context(), verified(map[string]any{"jti": "2"})))
	})
	t.Run("RFC 7523 §3 item 7 one without a jti is exchanged again", func(t *testing.T) {
		s := verified(nil)
		require.NoError(t, w.UseSubject(t.Context(), s))
		require.NoError(t, w.UseSubject(t.Context(), s))
	})
	t.Run("RFC 7523 §3 item 7 the jti of a client is another", func(t *testing.T) {
		first, err := w.cfg.Once(t.Context(), onceKey(platform, "3"), time.Minute)
		require.NoError(t, err)
		require.True(t, first)
		require.NoError(t, w.UseSubject(t.Context(), verified(map[string]any{"jti": "3"})))
	})
	t.Run("a store that does not answer is neither a yes nor a no", func(t *testing.T) {
		w.memory.err = errDown
		err := w.UseSubject(t.Context(), verified(map[string]any{"jti": "4"}))
		require.ErrorIs(t, err, errDown)
		_, refused := errors.AsType[*Rejection](err)
		require.False(t, refused)
	})
}
