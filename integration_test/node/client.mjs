// openid-client as a machine with a secret: discovery, client credentials, introspection, revocation.
import * as client from 'openid-client'
import assert from 'node:assert'

const { ISSUER, MACHINE_SECRET, API_SECRET } = process.env
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

const stranger = await discover('machine', client.ClientSecretBasic('wrong'))
await assert.rejects(client.clientCredentialsGrant(stranger), (e) => e.status === 401 && e.cause[0].scheme === 'basic') // RFC 6749 §5.2
await assert.rejects(client.clientCredentialsGrant(machine, { scope: 'nothing' }), (e) => e.error === 'invalid_scope')
console.log('ok')
