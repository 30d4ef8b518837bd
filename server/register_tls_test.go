package server

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
)

func TestRegistrationOfCertificates(t *testing.T) {
	set, err := json.Marshal(x5c(t, certtest.SelfSigned(t, nil)))
	require.NoError(t, err)
	read := func(t *testing.T, body string) clients.Registration {
		t.Helper()
		m, err := readMetadata([]byte(body), false)
		require.NoError(t, err)
		var r clients.Registration
		m.into(&r)
		require.Empty(t, secretFor(&r), "RFC 7591 §3.2.1 no secret")
		require.Empty(t, r.Secrets)
		return r
	}
	t.Run("MT-01 RFC 8705 §2.1.2 tls_client_auth", func(t *testing.T) {
		r := read(t, `{"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"a.example.com","tls_client_certificate_bound_access_tokens":true}`)
		require.Equal(t, clients.MethodTLS, r.Method)
		require.Equal(t, "a.example.com", r.TLSSANDNS)
		require.True(t, r.CertificateBound)
	})
	t.Run("MT-02 RFC 8705 §2.2.2 self_signed_tls_client_auth", func(t *testing.T) {
		r := read(t, `{"token_endpoint_auth_method":"self_signed_tls_client_auth","jwks":`+string(set)+`}`)
		require.Equal(t, 1, r.JWKS.Len())
	})
	for name, body := range map[string]string{
		"no certificates": `{"token_endpoint_auth_method":"self_signed_tls_client_auth"}`,
		"keys of another": `{"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"a.example.com","jwks":` + string(set) + `}`,
		"an alg":          `{"token_endpoint_auth_method":"self_signed_tls_client_auth","token_endpoint_auth_signing_alg":"ES256","jwks":` + string(set) + `}`,
	} {
		t.Run("RFC 7591 §3.2.2 refused: "+name, func(t *testing.T) {
			_, err := readMetadata([]byte(body), false)
			require.Equal(t, codeInvalidMetadata, asError(err).Code)
		})
	}
}
