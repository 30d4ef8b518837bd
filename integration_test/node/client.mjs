// openid-client as a machine, with a secret and by private_key_jwt: discovery, client credentials, introspection, revocation.
import * as client from 'openid-client'
import assert from 'node:assert'

const { ISSUER, MACHINE_SECRET, API_SECRET, SIGNER_KEY } = process.env
const discover = async (id, auth) =>
  client.discovery(new URL(ISSUER), id, undefined, auth, { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })

const machine = await discover('machine', client.ClientSecretBasic(MACHINE_SECRET))
const api = await discover('api', client.ClientSecretPost(API_SECRET))
const token = await client.clientCredentialsGrant(machine, { scope: 'orders:read' })
assert.equal(token.token_type, 'bearer')
const about = await client.tokenIntrospection(api, token.access_token)
assert.equal(about.active, true)
assert.equal(about.client_id, 'machine')
await client.tokenRevocation(machine, token.access_token)
assert.deepEqual(await client.tokenIntrospection(api, token.access_token), { active: false })

const key = await crypto.subtle.importKey('jwk', JSON.parse(SIGNER_KEY), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const signer = await discover('signer', client.PrivateKeyJwt({ key, kid: 'k1' }))
const signed = await client.clientCredentialsGrant(signer, { scope: 'orders:read' })
assert.equal((await client.tokenIntrospection(api, signed.access_token)).client_id, 'signer')
await assert.rejects(client.clientCredentialsGrant(await discover('machine', client.ClientSecretBasic('wrong'))), (e) => e.error === 'invalid_client' || e.cause !== undefined)
console.log('ok')
