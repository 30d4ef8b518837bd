// JWT access tokens, checked by validators that we did not write: oauth4webapi's RFC 9068 validation, and jose by our JWKS.
import * as oauth from 'oauth4webapi'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import assert from 'node:assert'

const { ISSUER, TOKEN } = process.env
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }))
const request = (token) => new Request('https://orders.example.com/orders', { headers: { authorization: `Bearer ${token}` } })

const claims = await oauth.validateJwtAccessToken(as, request(TOKEN), 'https://orders.example.com', insecure)
assert.equal(claims.client_id, 'machine')
assert.equal(claims.scope, 'orders:read')
await assert.rejects(oauth.validateJwtAccessToken(as, request(TOKEN), 'https://other.example.com', insecure))
await assert.rejects(oauth.validateJwtAccessToken(as, request(TOKEN.slice(0, -4) + 'AAAA'), 'https://orders.example.com', insecure))

const { payload, protectedHeader } = await jwtVerify(TOKEN, createRemoteJWKSet(new URL(as.jwks_uri)), { issuer: ISSUER, audience: 'https://orders.example.com', typ: 'at+jwt' })
assert.equal(protectedHeader.alg, 'ES256')
assert.equal(payload.sub, 'machine')
console.log('ok')
