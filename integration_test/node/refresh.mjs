// openid-client as an app: a log-in, a refresh, and the answer to a grant that is over.
import * as client from 'openid-client'
import assert from 'node:assert'

const { ISSUER, USERNAME, PASSWORD } = process.env
const app = await client.discovery(new URL(ISSUER), 'app', undefined, client.None(), { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
const first = await client.genericGrantRequest(app, 'password', { username: USERNAME, password: PASSWORD })
const second = await client.refreshTokenGrant(app, first.refresh_token)
assert.notEqual(second.refresh_token, first.refresh_token)
assert.notEqual(second.access_token, first.access_token)
const third = await client.refreshTokenGrant(app, second.refresh_token, { scope: 'orders:read' })
assert.equal(third.scope, 'orders:read')
await client.tokenRevocation(app, third.refresh_token)
await assert.rejects(client.refreshTokenGrant(app, third.refresh_token), (e) => e.error === 'invalid_grant')
console.log('ok')
