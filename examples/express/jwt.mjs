// An API that verifies JWTs by Grantor's key set: a revoked token is good until it expires.
import express from 'express'
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer'

const { ISSUER, AUDIENCE = 'https://orders.example.com', PORT = '8081' } = process.env

const app = express()
app.use(auth({
  issuer: ISSUER,
  jwksUri: `${ISSUER}/oauth2/jwks`,
  audience: AUDIENCE,
  tokenSigningAlg: 'ES256',
  strict: true, // RFC 9068: the type at+jwt, and its claims
}))
app.use((request, response, next) => {
  if (!request.auth.payload.cnf) return next()
  response.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').end() // bound, and nobody checks to whom
})
app.get('/orders', requiredScopes('orders:read'), (request, response) => {
  response.json({ for: request.auth.payload.sub, orders: ['apples', 'pears'] })
})
app.post('/orders', requiredScopes('orders:write'), (request, response) => {
  response.status(201).json({ created: true })
})
app.use((error, request, response, next) => {
  if (error.status) return response.status(error.status).set(error.headers ?? {}).end() // 400, 401, 403
  console.error(error.message)
  response.status(503).set('Retry-After', '1').end() // the key set cannot be had
})
app.listen(Number(PORT), '127.0.0.1')
