package programs

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// signers are clients whose JWTs are of each algorithm and type.
func signers() (config string, names []string) {
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		for _, typ := range []string{"at+jwt", "JWT"} {
			name := strings.ToLower(alg + "-" + strings.TrimSuffix(typ, "+jwt"))
			sum := sha256.Sum256([]byte(secret(name)))
			names = append(names, name)
			config += "\n[[clients]]\nclient_id = \"" + name + "\"\ngrant_types = [\"client_credentials\"]\nscope = \"mail\"\naccess_token_format = \"jwt\"\n" +
				"signing_alg = \"" + alg + "\"\njwt_typ = \"" + typ + "\"\nsecrets = [{ hash = \"sha256:" + hex.EncodeToString(sum[:]) + "\" }]\n"
		}
	}
	return config, names
}

// publicKeys writes the keys of the server as Dovecot reads them: a file for each algorithm and
// kid.
func (s *server) publicKeys(t *testing.T, folder string) {
	t.Helper()
	res, err := s.client.Get(s.issuer + "/oauth2/jwks")
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	var set jose.JSONWebKeySet
	require.NoError(t, json.NewDecoder(res.Body).Decode(&set))
	for _, k := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(k.Key)
		require.NoError(t, err)
		at := filepath.Join(folder, "default", k.Algorithm)
		require.NoError(t, os.MkdirAll(at, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(at, k.KeyID), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)) // other users read it
	}
}

// TestDovecotLocal shows which JWTs Dovecot of Debian takes that verifies them itself: what
// docs/reference/verifiers.md says of it.
func TestDovecotLocal(t *testing.T) {
	config, names := signers()
	s := serve(t, config)
	keys := sharedFolder(t)
	tokens := map[string]string{}
	for _, name := range names { // the first token of an algorithm makes its key
		tokens[name] = s.token(t, name, machine("mail"))
	}
	s.publicKeys(t, keys)
	addr := startDovecot(t, s, "introspection_mode = post", "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix="+keys+"/",
		"username_attribute = username", "username_attribute = sub", "client_id = dovecot", "client_id = https://mail.example.com", "active_attribute = active\nactive_value = true\n", "")
	taken := map[string]bool{"es256-jwt": true, "rs256-jwt": true} // of at+jwt its log says: Cannot find 'typ' field
	for _, name := range names {
		t.Run("AT-10 "+name, func(t *testing.T) {
			require.Equal(t, taken[name], logIn(t, addr, withToken(name, tokens[name])))
			require.False(t, logIn(t, addr, withToken("another", tokens[name])))
		})
	}
	t.Run("AT-14 RFC 8725 §3.3 another signature", func(t *testing.T) {
		token := tokens["rs256-jwt"]
		require.False(t, logIn(t, addr, withToken("rs256-jwt", token[:len(token)-40]+"AAAA"+token[len(token)-36:])))
	})
}
