// RFC 7591 by openid-client and by oauth4webapi: register with an initial access token, then get a token as the new client.
import * as client from 'openid-client'
import * as oauth from 'oauth4webapi'
import assert from 'node:assert'

const { ISSUER, ADMIN, INITIAL } = process.env
const issuer = new URL(ISSUER)
const endpoint = `${ADMIN}/oauth2/register` // the operator's listener is not announced to everybody

// soon waits until every node knows the new client: within a second.
const soon = async (ask) => {
  for (let i = 0; ; i++) {
    try {
      return await ask()
    } catch (e) {
      if (i === 100) throw e
      await new Promise((done) => setTimeout(done, 50))
    }
  }
}

const announced = async (url, options) => {
  const res = await fetch(url, options)
  if (!String(url).includes('/.well-known/')) return res
  return Response.json({ ...(await res.json()), registration_endpoint: endpoint })
}
const metadata = { client_name: 'made by openid-client', grant_types: ['client_credentials'], scope: 'orders:read' }
const options = { algorithm: 'oauth2', execute: [client.allowInsecureRequests], [client.customFetch]: announced }
const made = await client.dynamicClientRegistration(issuer, metadata, client.ClientSecretBasic(), { ...options, initialAccessToken: INITIAL })
const { client_id, client_secret, registration_access_token, registration_client_uri } = made.clientMetadata()
assert.ok(client_id && client_secret && registration_access_token)
assert.ok((await soon(() => client.clientCredentialsGrant(made, { scope: 'orders:read' }))).access_token)
const own = await fetch(registration_client_uri, { headers: { authorization: `Bearer ${registration_access_token}` } }) // RFC 7592 §2.1
assert.equal((await own.json()).client_id, client_id)
await assert.rejects(client.dynamicClientRegistration(issuer, { ...metadata, scope: 'grantor:admin' }, undefined, { ...options, initialAccessToken: INITIAL }),
  (e) => e.error === 'invalid_client_metadata')
await assert.rejects(client.dynamicClientRegistration(issuer, metadata, undefined, { ...options, initialAccessToken: registration_access_token }), (e) => e.status === 401)

const insecure = { [oauth.allowInsecureRequests]: true }
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }))
as.registration_endpoint = endpoint
const second = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as,
  { client_name: 'made by oauth4webapi', grant_types: ['client_credentials'], scope: 'orders:read', redirect_uris: [] }, { initialAccessToken: INITIAL, ...insecure }))
assert.ok(second.client_id && second.client_secret && second.registration_access_token)
const token = await soon(async () => oauth.processClientCredentialsResponse(as, second,
  await oauth.clientCredentialsGrantRequest(as, second, oauth.ClientSecretBasic(second.client_secret), { scope: 'orders:read' }, insecure)))
assert.ok(token.access_token)

// With keys (RFC 7591 §2): no secret is made, and the client signs for itself.
const pair = await oauth.generateKeyPair('ES256')
const jwk = { ...(await crypto.subtle.exportKey('jwk', pair.publicKey)), kid: 'k1', use: 'sig' }
const signed = { token_endpoint_auth_method: 'private_key_jwt', grant_types: ['client_credentials'], scope: 'orders:read', redirect_uris: [] }
const register = async (more) => oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(as, { ...signed, ...more }, { initialAccessToken: INITIAL, ...insecure }))
const third = await register({ jwks: { keys: [jwk] } })
assert.equal(third.client_secret, undefined)
assert.equal(third.client_secret_expires_at, undefined)
assert.equal(third.token_endpoint_auth_method, 'private_key_jwt')
assert.equal(third.jwks.keys[0].x, jwk.x)
const auth = oauth.PrivateKeyJwt({ key: pair.privateKey, kid: 'k1' })
const proved = await soon(async () => oauth.processClientCredentialsResponse(as, third,
  await oauth.clientCredentialsGrantRequest(as, third, auth, { scope: 'orders:read' }, insecure)))
const seen = await oauth.processIntrospectionResponse(as, third, await oauth.introspectionRequest(as, third, auth, proved.access_token, insecure))
assert.equal(seen.client_id, third.client_id)
const stranger = oauth.PrivateKeyJwt({ key: (await oauth.generateKeyPair('ES256')).privateKey, kid: 'k1' })
await assert.rejects(async () => oauth.processClientCredentialsResponse(as, third,
  await oauth.clientCredentialsGrantRequest(as, third, stranger, { scope: 'orders:read' }, insecure)), (e) => e.status === 401)
const withPrivate = { ...jwk, d: 'AAAA' }
for (const bad of [{}, { jwks: { keys: [withPrivate] } }, { jwks: { keys: [jwk] }, jwks_uri: 'https://keys.example.com/jwks' }, { jwks_uri: 'https://127.0.0.1/jwks' }]) {
  await assert.rejects(register(bad), (e) => e.error === 'invalid_client_metadata')
}
console.log('ok')
