// openid-client and oauth4webapi with DPoP: log in, call the API, refresh, retry with a nonce; and what a thief gets.
import * as client from 'openid-client'
import * as oauth from 'oauth4webapi'
import assert from 'node:assert'

const { ISSUER, API, USERNAME, PASSWORD } = process.env
const app = await client.discovery(new URL(ISSUER), 'app', undefined, client.None(), { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
const key = await client.randomDPoPKeyPair('ES256')
const DPoP = client.getDPoPHandle(app, key)
const thief = client.getDPoPHandle(app, await client.randomDPoPKeyPair('ES256'))
const call = (token, handle) => client.fetchProtectedResource(app, token, new URL(API + '/orders?page=1'), 'GET', null, undefined, { DPoP: handle })

const first = await client.genericGrantRequest(app, 'password', { username: USERNAME, password: PASSWORD }, { DPoP })
assert.equal(first.token_type, 'dpop')
for (let i = 0; i < 4; i++) assert.equal((await call(first.access_token, DPoP)).status, 200) // the first one repeats with a nonce
const second = await client.refreshTokenGrant(app, first.refresh_token, undefined, { DPoP })
assert.equal(second.token_type, 'dpop')
assert.equal((await call(second.access_token, DPoP)).status, 200)

const refused = (error) => (e) => e.cause?.some?.((c) => c.parameters?.error === error) ?? false
await assert.rejects(call(second.access_token, thief), refused('invalid_token'))
await assert.rejects(call(second.access_token), refused('invalid_token'))
await assert.rejects(client.refreshTokenGrant(app, second.refresh_token, undefined, { DPoP: thief }), (e) => e.error === 'invalid_grant')
await client.refreshTokenGrant(app, second.refresh_token, undefined, { DPoP }) // the theft had no effect

const insecure = { [oauth.allowInsecureRequests]: true }
const own = oauth.DPoP({ client_id: 'app' }, key)
const get = () => oauth.protectedResourceRequest(second.access_token, 'GET', new URL(API + '/orders'), undefined, undefined, { DPoP: own, ...insecure })
await assert.rejects(get(), (e) => oauth.isDPoPNonceError(e))
assert.equal((await get()).status, 200)
console.log('ok')
