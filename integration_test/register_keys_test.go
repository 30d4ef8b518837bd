package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// ownKey is a client's key and its public half as JSON.
type ownKey struct {
	*ecdsa.PrivateKey
	kid string
}

func newKey(t *testing.T, kid string) ownKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return ownKey{key, kid}
}

// jwk is the key as a member of a JWK Set; private with its secret half.
func (k ownKey) jwk(t *testing.T, private bool) members {
	t.Helper()
	j := jose.JSONWebKey{Key: k.Public(), KeyID: k.kid, Algorithm: "ES256", Use: "sig"}
	if private {
		j.Key = k.PrivateKey
	}
	text, err := j.MarshalJSON()
	require.NoError(t, err)
	var m members
	require.NoError(t, json.Unmarshal(text, &m))
	return m
}

func jwks(keys ...members) members { return members{"keys": keys} }

// token asks for a token of a client with an assertion that the key signs.
func (k ownKey) token(t *testing.T, p *process, id string) reply {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.PrivateKey}, (&jose.SignerOptions{}).WithHeader("kid", k.kid))
	require.NoError(t, err)
	claims, err := json.Marshal(members{"iss": id, "sub": id, "aud": "http://127.0.0.1:8080", "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60})
	require.NoError(t, err)
	signed, err := signer.Sign(claims)
	require.NoError(t, err)
	assertion, err := signed.CompactSerialize()
	require.NoError(t, err)
	return post(t, p.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}})
}

func TestRegisteredKeys(t *testing.T) {
	o := openDesk(t)
	second := o.deployment.serve(t)
	first, next := newKey(t, "2026-11"), newKey(t, "2026-12")
	asked := members{"client_name": "keys", "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(first.jwk(t, false)), "scope": "orders:read"}
	made := o.does(t, 201, "POST", "/oauth2/register", asked)
	id, own := made.text("client_id"), made.text("registration_access_token")
	path := "/oauth2/register/" + id
	put := func(change members) reply {
		body := maps.Clone(asked)
		body["client_id"] = id
		for name, value := range change {
			if body[name] = value; value == nil {
				delete(body, name)
			}
		}
		return o.p.ask(own, "PUT", path, body)
	}
	works := func(t *testing.T, k ownKey) {
		t.Helper()
		for _, p := range []*process{o.p, second} {
			within(t, func() bool { return k.token(t, p, id).status == 200 })
		}
	}
	refused := func(t *testing.T, k ownKey) {
		t.Helper()
		for _, p := range []*process{o.p, second} {
			within(t, func() bool { return k.token(t, p, id).text("error") == "invalid_client" })
		}
	}
	t.Run("RG-01 RFC 7591 §2 a client with keys is registered, and no secret is made", func(t *testing.T) {
		require.NotContains(t, made.json, "client_secret")
		require.NotContains(t, made.json, "client_secret_expires_at")
		require.Equal(t, "private_key_jwt", made.json["token_endpoint_auth_method"])
		works(t, first)
		shown := o.does(t, 200, "GET", clientPath(id), nil)
		require.NotContains(t, shown.json, "secrets")
	})
	t.Run("RG-02 RFC 7592 §2.1 its keys are shown, and no private half", func(t *testing.T) {
		for _, r := range []reply{made, o.p.ask(own, "GET", path, nil)} {
			key := r.json["jwks"].(members)["keys"].([]any)[0].(members)
			require.Equal(t, first.jwk(t, false), key)
		}
	})
	t.Run("RG-02 RFC 7592 §2.2 it replaces its keys: the old ones no longer count, on any node", func(t *testing.T) {
		r := put(members{"jwks": jwks(next.jwk(t, false))})
		require.Equal(t, 200, r.status, r.body)
		require.NotContains(t, r.json, "client_secret")
		works(t, next)
		refused(t, first)
	})
	refusedKeys(t, o, put)
	t.Run("RG-03 nothing of what was refused has changed it", func(t *testing.T) {
		key := o.p.ask(own, "GET", path, nil).json["jwks"].(members)["keys"].([]any)[0].(members)
		require.Equal(t, "2026-12", key["kid"])
		works(t, next)
	})
	t.Run("RG-02 RFC 7591 §2 token_endpoint_auth_signing_alg holds", func(t *testing.T) {
		require.Equal(t, 200, put(members{"jwks": jwks(next.jwk(t, false)), "token_endpoint_auth_signing_alg": "PS256"}).status)
		refused(t, next)
		require.Equal(t, 200, put(members{"jwks": jwks(next.jwk(t, false))}).status)
		works(t, next)
	})
	t.Run("RG-01 RFC 7592 §2.2 from keys to a secret, which is shown once, and back: one of the two counts", func(t *testing.T) {
		r := put(members{"jwks": nil, "token_endpoint_auth_method": "client_secret_post"})
		require.Equal(t, 200, r.status, r.body)
		secret := r.text("client_secret")
		seen.secret(secret)
		require.EqualValues(t, 0, r.json["client_secret_expires_at"])
		require.NotContains(t, r.json, "jwks")
		form := credentials("orders:read")
		form.Set("client_id", id)
		form.Set("client_secret", secret)
		within(t, func() bool { return post(t, second.URL+"/oauth2/token", "", "", form).status == 200 })
		refused(t, next)
		again := put(members{"jwks": nil, "token_endpoint_auth_method": "client_secret_post"})
		require.Equal(t, 200, again.status, again.body)
		require.NotContains(t, again.json, "client_secret", "it has one")
		require.Equal(t, 200, put(nil).status)
		works(t, first)
		within(t, func() bool {
			return post(t, second.URL+"/oauth2/token", "", "", form).text("error") == "invalid_client"
		})
	})
	t.Run("RG-03 a key for encryption is passed over, and the log says so", func(t *testing.T) {
		other := newKey(t, "enc").jwk(t, false)
		other["use"], other["alg"] = "enc", "ECDH-ES"
		require.Equal(t, 200, put(members{"jwks": jwks(first.jwk(t, false), other)}).status)
		within(t, func() bool {
			return strings.Contains(o.p.Log.String(), "registered keys that cannot be used are passed over")
		})
		works(t, first)
	})
	t.Run("RG-04 CJ-12 a jwks_uri in place of keys: one that nobody serves proves nothing", func(t *testing.T) {
		r := put(members{"jwks": nil, "jwks_uri": "https://keys.invalid/jwks.json"})
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "https://keys.invalid/jwks.json", o.p.ask(own, "GET", path, nil).json["jwks_uri"])
		refused(t, first)
		within(t, func() bool { return strings.Contains(o.p.Log.String(), `"reason":"keys_unavailable"`) })
	})
	t.Run("RG-01 an operator who sets the method keeps it", func(t *testing.T) {
		o.does(t, 200, "PATCH", clientPath(id), members{"token_endpoint_auth_method": "private_key_jwt"})
		r := put(members{"jwks": nil, "token_endpoint_auth_method": "client_secret_basic"})
		require.Equal(t, 400, r.status)
		require.Contains(t, r.text("error_description"), "an operator set it")
	})
}

// refusedKeys asks for what is refused, as a new client and as one that is there.
func refusedKeys(t *testing.T, o desk, put func(members) reply) {
	t.Helper()
	good := newKey(t, "a")
	keys := func(change members) members {
		k := good.jwk(t, false)
		maps.Copy(k, change)
		return jwks(k)
	}
	var many []members
	for i := range 17 {
		k := good.jwk(t, false)
		k["kid"] = fmt.Sprint(i)
		many = append(many, k)
	}
	for name, r := range map[string]struct {
		change members
		says   string
	}{
		"RG-03 JK-02 a private key":                         {members{"jwks": jwks(good.jwk(t, true))}, `jwks: keys[0]: it has the member 'd': register public keys only`},
		"RG-03 JK-02 a symmetric key":                       {members{"jwks": jwks(members{"kty": "oct", "k": "AAAA"})}, "jwks: keys[0]: symmetric keys are refused"},
		"RG-03 JK-02 a symmetric key beside a good one":     {members{"jwks": jwks(good.jwk(t, false), members{"kty": "oct", "k": "AAAA"})}, "jwks: keys[1]: symmetric"},
		"RG-03 alg none":                                    {members{"jwks": keys(members{"alg": "none"})}, "alg"},
		"RG-03 a point off the curve":                       {members{"jwks": keys(members{"x": "AAAA"})}, "valid public key"},
		"RG-03 no key for signatures":                       {members{"jwks": keys(members{"use": "enc", "alg": "ECDH-ES"})}, "no key in it that can be used"},
		"RG-03 no key":                                      {members{"jwks": jwks()}, "jwks: there is no key in it"},
		"RG-03 no set":                                      {members{"jwks": "x"}, "a JWK Set is a JSON object"},
		"RG-03 a list in place of a set":                    {members{"jwks": []members{good.jwk(t, false)}}, "a JWK Set is a JSON object"},
		"RG-03 more than 16 keys":                           {members{"jwks": jwks(many...)}, "jwks has at most 16 keys"},
		"RG-03 more than 16 kB":                             {members{"jwks": keys(members{"x5c": []string{strings.Repeat("A", 17<<10)}})}, "jwks has at most 16 kB"},
		"RG-01 RFC 7591 §2 jwks and jwks_uri":               {members{"jwks_uri": "https://keys.example.com/jwks.json"}, "exclude each other"},
		"RG-01 private_key_jwt without keys":                {members{"jwks": nil}, "private_key_jwt needs the client's public keys"},
		"RG-01 keys without private_key_jwt":                {members{"token_endpoint_auth_method": nil}, "go with token_endpoint_auth_method private_key_jwt, and this body says client_secret_basic"},
		"RG-01 a jwks_uri with a secret":                    {members{"jwks": nil, "jwks_uri": "https://keys.example.com", "token_endpoint_auth_method": "client_secret_post"}, "go with token_endpoint_auth_method private_key_jwt"},
		"RG-01 an alg with a secret":                        {members{"jwks": nil, "token_endpoint_auth_signing_alg": "ES256", "token_endpoint_auth_method": "client_secret_post"}, "go with token_endpoint_auth_method private_key_jwt"},
		"RG-01 an alg that is none":                         {members{"token_endpoint_auth_signing_alg": "HS256"}, "must be one of"},
		"RG-01 client_secret_jwt":                           {members{"token_endpoint_auth_method": "client_secret_jwt"}, "client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth or self_signed_tls_client_auth"},
		"RG-04 S-51 a jwks_uri without TLS":                 {members{"jwks": nil, "jwks_uri": "http://keys.example.com/jwks"}, "https"},
		"RG-04 S-51 a jwks_uri on loopback":                 {members{"jwks": nil, "jwks_uri": "https://127.0.0.1/jwks"}, "jwks_uri"},
		"RG-04 S-51 a jwks_uri on localhost":                {members{"jwks": nil, "jwks_uri": "https://localhost:8090/jwks"}, "jwks_uri"},
		"RG-04 S-51 a jwks_uri of the cloud's metadata":     {members{"jwks": nil, "jwks_uri": "https://169.254.169.254/latest"}, "jwks_uri"},
		"RG-04 S-51 a jwks_uri in a private network":        {members{"jwks": nil, "jwks_uri": "https://[fd00::1]/jwks"}, "jwks_uri"},
		"RG-04 S-51 a jwks_uri with a user":                 {members{"jwks": nil, "jwks_uri": "https://a:b@keys.example.com/jwks"}, "jwks_uri"},
		"RG-04 S-51 a jwks_uri that is no URL":              {members{"jwks": nil, "jwks_uri": "file:///etc/passwd"}, "jwks_uri"},
		"RG-01 RFC 7591 §2 a secret of the client's choice": {members{"client_secret": "gcs_x", "jwks": jwks(good.jwk(t, true))}, "register public keys only"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			body := members{"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(good.jwk(t, false)), "scope": "orders:read"}
			for name, value := range r.change {
				if body[name] = value; value == nil {
					delete(body, name)
				}
			}
			for _, answer := range []reply{o.p.ask(o.token, "POST", "/oauth2/register", body), put(r.change)} {
				require.Equal(t, 400, answer.status, answer.body)
				require.Equal(t, "invalid_client_metadata", answer.json["error"])
				require.Contains(t, answer.text("error_description"), r.says)
			}
		})
	}
}
