// Gets a token by an assertion that the client signs (private_key_jwt, RFC 7523 §2.2).
import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'

const { ISSUER } = process.env
const clientId = 'billing-signer'
const key = createPrivateKey(readFileSync('billing-job.pem'))

function assertion() {
  const now = Math.floor(Date.now() / 1000) // this clock must be right within a minute
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = encode({ alg: 'EdDSA', typ: 'JWT' }) + '.' + encode({
    iss: clientId, sub: clientId, aud: ISSUER, jti: randomUUID(), iat: now, exp: now + 60,
  })
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
}

const answer = await fetch(`${ISSUER}/oauth2/token`, {
  method: 'POST', redirect: 'error', signal: AbortSignal.timeout(10_000),
  body: new URLSearchParams({
    grant_type: 'client_credentials', scope: 'orders:read',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion(), // a new one for each request
  }),
})
console.log(answer.status, (await answer.json()).scope)
