// Custom claims in a JWT access token, read by jose, which we did not write.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import assert from 'node:assert'

const { ISSUER, JWKS, TOKEN } = process.env
const { payload } = await jwtVerify(TOKEN, createRemoteJWKSet(new URL(JWKS)), { issuer: ISSUER, audience: 'https://orders.example.com', typ: 'at+jwt' })
assert.equal(payload.role, 'editor')
assert.equal(payload.tenant_id, 't-7')
assert.deepEqual(payload.limits, { seats: 3 })
console.log('ok')
