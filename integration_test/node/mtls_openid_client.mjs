// openid-client with certificates (RFC 8705): tls_client_auth, and private_key_jwt with bound tokens, at the aliases of the metadata.
import * as client from 'openid-client'
import assert from 'node:assert'
import { fetchWith } from './mtls_fetch.mjs'

const { ISSUER, SIGNER_KEY, THUMBPRINT } = process.env
const discover = (id, auth, certificate) =>
  client.discovery(new URL(ISSUER), id, { use_mtls_endpoint_aliases: true }, auth, { algorithm: 'oauth2', [client.customFetch]: fetchWith(certificate) })
const curve = { name: 'ECDSA', namedCurve: 'P-256' }
const key = await crypto.subtle.importKey('jwk', JSON.parse(SIGNER_KEY), curve, false, ['sign'])

for (const [id, auth] of [['billing', client.TlsClientAuth()], ['signer', client.PrivateKeyJwt({ key, kid: 'k1' })]]) {
  const config = await discover(id, auth, true)
  assert.notEqual(config.serverMetadata().mtls_endpoint_aliases.token_endpoint, config.serverMetadata().token_endpoint)
  const token = await client.clientCredentialsGrant(config, { scope: 'orders:read' })
  const seen = await client.tokenIntrospection(config, token.access_token)
  assert.equal(seen.client_id, id)
  assert.deepEqual(seen.cnf, { 'x5t#S256': THUMBPRINT })
  const without = await discover(id, auth, false)
  await assert.rejects(client.clientCredentialsGrant(without, { scope: 'orders:read' }), (e) => e.status === (id === 'billing' ? 401 : 400))
}
console.log('ok')
