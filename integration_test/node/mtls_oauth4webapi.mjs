// oauth4webapi with certificates (RFC 8705): tls_client_auth, and private_key_jwt with bound tokens, at the aliases of the metadata.
import * as oauth from 'oauth4webapi'
import assert from 'node:assert'
import { fetchWith } from './mtls_fetch.mjs'

const { ISSUER, SIGNER_KEY, THUMBPRINT } = process.env
const issuer = new URL(ISSUER)
const options = { [oauth.customFetch]: fetchWith(true) }
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }))
const key = await crypto.subtle.importKey('jwk', JSON.parse(SIGNER_KEY), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])

for (const [id, auth] of [['billing', oauth.TlsClientAuth()], ['signer', oauth.PrivateKeyJwt({ key, kid: 'k1' })]]) {
  const client = { client_id: id, use_mtls_endpoint_aliases: true }
  const ask = (o) => oauth.clientCredentialsGrantRequest(as, client, auth, new URLSearchParams({ scope: 'orders:read' }), o)
  const token = await oauth.processClientCredentialsResponse(as, client, await ask(options))
  const answer = await oauth.introspectionRequest(as, client, auth, token.access_token, options)
  const seen = await oauth.processIntrospectionResponse(as, client, answer)
  assert.deepEqual(seen.cnf, { 'x5t#S256': THUMBPRINT })
  assert.equal((await ask({ [oauth.customFetch]: fetchWith(false) })).status, id === 'billing' ? 401 : 400)
  assert.equal((await oauth.revocationRequest(as, client, auth, token.access_token, options)).status, 200)
}
console.log('ok')
