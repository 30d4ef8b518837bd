// openid-client signs instead of sharing a secret (RFC 7523 §2.2): its own assertions, accepted; by another's key, refused.
import * as client from 'openid-client'
import assert from 'node:assert'

const { ISSUER, API_SECRET, SIGNER_KEY } = process.env
const discover = async (id, auth) =>
  client.discovery(new URL(ISSUER), id, undefined, auth, { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
const curve = { name: 'ECDSA', namedCurve: 'P-256' }

const key = await crypto.subtle.importKey('jwk', JSON.parse(SIGNER_KEY), curve, false, ['sign'])
const signer = await discover('signer', client.PrivateKeyJwt({ key, kid: 'k1' }))
const api = await discover('api', client.ClientSecretPost(API_SECRET))
for (let i = 0; i < 2; i++) { // each with a jti of its own
  const token = await client.clientCredentialsGrant(signer, { scope: 'orders:read' })
  assert.equal((await client.tokenIntrospection(api, token.access_token)).client_id, 'signer')
}

const other = (await crypto.subtle.generateKey(curve, false, ['sign'])).privateKey
for (const [id, k] of [['signer', other], ['machine', key]]) {
  const refused = await discover(id, client.PrivateKeyJwt({ key: k, kid: 'k1' }))
  await assert.rejects(client.clientCredentialsGrant(refused, { scope: 'orders:read' }), (e) => e.status === 401)
}
console.log('ok')
