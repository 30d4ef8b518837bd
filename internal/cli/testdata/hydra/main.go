// Command hydra writes hydra_client.json beside it: rows of the table hydra_client of Ory Hydra 2, as
// SELECT row_to_json(c) FROM hydra_client c writes them, with secrets hashed by Hydra's own hashers.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ory/x/hasherx"
)

type config struct{}

func (config) HasherPBKDF2Config(context.Context) *hasherx.PBKDF2Config {
	return &hasherx.PBKDF2Config{Algorithm: "sha256", Iterations: 25_000, SaltLength: 16, KeyLength: 32} // Hydra's defaults
}

func (config) HasherBcryptConfig(context.Context) *hasherx.BCryptConfig {
	return &hasherx.BCryptConfig{Cost: 10}
}

func main() {
	var out bytes.Buffer
	hashers := map[string]interface {
		Generate(context.Context, []byte) ([]byte, error)
	}{"pbkdf2": hasherx.NewHasherPBKDF2(config{}), "bcrypt": hasherx.NewHasherBcrypt(config{})}
	for _, name := range []string{"pbkdf2", "bcrypt"} {
		hash, err := hashers[name].Generate(context.Background(), []byte("Hydra-secret-of-"+name+"-4711"))
		if err != nil {
			panic(err)
		}
		out.Write(row(name+"-job", string(hash), nil))
	}
	out.Write(row("website", "", map[string]any{"grant_types": []string{"authorization_code", "refresh_token"},
		"redirect_uris": []string{"https://shop.example.com/cb"}, "scope": "openid offline orders:read", "token_endpoint_auth_method": "none"}))
	out.Write(row("signer", "", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://signer.example.com/jwks"}))
	if err := os.WriteFile("../hydra_client.json", out.Bytes(), 0o600); err != nil {
		panic(err)
	}
}

// row is one row; more replaces members of it.
func row(id, secret string, more map[string]any) []byte {
	r := map[string]any{"id": id, "client_name": "The " + id, "client_secret": secret, "scope": "orders:read offline_access", "owner": "",
		"policy_uri": "", "tos_uri": "", "client_uri": "", "logo_uri": "", "client_secret_expires_at": 0, "sector_identifier_uri": "",
		"jwks": map[string]any{"keys": []any{}}, "jwks_uri": "", "token_endpoint_auth_method": "client_secret_basic", "request_object_signing_alg": "",
		"userinfo_signed_response_alg": "none", "subject_type": "public", "pk_deprecated": nil, "created_at": "2026-01-02T03:04:05", "updated_at": "2026-01-02T03:04:05",
		"frontchannel_logout_uri": "", "frontchannel_logout_session_required": false, "backchannel_logout_uri": "", "backchannel_logout_session_required": false,
		"metadata": map[string]any{}, "token_endpoint_auth_signing_alg": "", "pk": "6d5ab6ee-1c1f-4d6a-9c5a-0a3f4c7d9c10", "registration_access_token_signature": "",
		"nid": "0b8a3d6e-5f0e-4c4e-9b1e-3a3a3a3a3a3a", "redirect_uris": []string{}, "grant_types": []string{"client_credentials"}, "response_types": []string{"code"},
		"audience": []string{"https://orders.example.com"}, "allowed_cors_origins": []string{}, "contacts": []string{}, "request_uris": []string{},
		"post_logout_redirect_uris": []string{}, "access_token_strategy": "opaque", "skip_consent": false, "skip_logout_consent": nil,
		"authorization_code_grant_access_token_lifespan": nil, "authorization_code_grant_id_token_lifespan": nil, "authorization_code_grant_refresh_token_lifespan": nil,
		"client_credentials_grant_access_token_lifespan": 600_000_000_000, "implicit_grant_access_token_lifespan": nil, "implicit_grant_id_token_lifespan": nil,
		"jwt_bearer_grant_access_token_lifespan": nil, "password_grant_access_token_lifespan": nil, "password_grant_refresh_token_lifespan": nil,
		"refresh_token_grant_id_token_lifespan": nil, "refresh_token_grant_access_token_lifespan": nil, "refresh_token_grant_refresh_token_lifespan": nil}
	for name, value := range more {
		r[name] = value
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return fmt.Appendln(nil, string(text))
}
