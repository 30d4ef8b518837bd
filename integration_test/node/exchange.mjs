// oauth4webapi and openid-client exchange tokens (RFC 8693): one of a user, the token that came of it, and one of a machine.
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import assert from 'node:assert'

const { ISSUER, SECRET, API_SECRET, SUBJECT, MACHINE } = process.env
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const TYPE = 'urn:ietf:params:oauth:token-type:'
const options = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }))
assert.ok(as.grant_types_supported.includes(GRANT))

const ask = (id, more) => oauth.genericTokenEndpointRequest(as, { client_id: id }, oauth.ClientSecretBasic(SECRET), GRANT, new URLSearchParams(more), options)
const exchange = async (id, more) => oauth.processGenericTokenEndpointResponse(as, { client_id: id }, await ask(id, more))
const seen = async (token) => {
  const api = { client_id: 'api' }
  const answer = await oauth.introspectionRequest(as, api, oauth.ClientSecretPost(API_SECRET), token, options)
  return oauth.processIntrospectionResponse(as, api, answer)
}

const shop = await exchange('shop', { subject_token: SUBJECT, subject_token_type: TYPE + 'access_token', resource: 'https://orders.example.com' })
assert.equal(shop.token_type, 'bearer')
assert.equal(shop.issued_token_type, TYPE + 'access_token')
assert.equal(shop.refresh_token, undefined)
const stock = await exchange('stock', { subject_token: shop.access_token, subject_token_type: TYPE + 'jwt', requested_token_type: TYPE + 'jwt' })
assert.equal(stock.issued_token_type, TYPE + 'jwt')
const about = await seen(stock.access_token)
assert.equal(about.sub, 'u-1')
assert.deepEqual(about.act, { sub: 'stock', sub_type: 'client', act: { sub: 'shop', sub_type: 'client' } })

const refuses = async (code, id, more) => assert.rejects(exchange(id, { subject_token_type: TYPE + 'access_token', ...more }), (e) => e.error === code)
await refuses('invalid_request', 'shop', { subject_token: stock.access_token }) // a token of a client that the policy does not name
await refuses('invalid_request', 'shop', { subject_token: 'nonsense' })
await refuses('invalid_scope', 'shop', { subject_token: SUBJECT, scope: 'orders:write' })
await refuses('invalid_target', 'shop', { subject_token: SUBJECT, audience: 'https://else.example.com' })

const config = await client.discovery(issuer, 'shop', undefined, client.ClientSecretPost(SECRET), { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
const machine = await client.genericGrantRequest(config, GRANT, { subject_token: MACHINE, subject_token_type: TYPE + 'access_token' })
assert.deepEqual([(await seen(machine.access_token)).sub, (await seen(machine.access_token)).client_id], ['machine', 'shop'])
await client.tokenRevocation(config, machine.access_token)
assert.deepEqual(await seen(machine.access_token), { active: false })
console.log('ok')
