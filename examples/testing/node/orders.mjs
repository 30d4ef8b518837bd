// An API protected by Grantor, with Node's standard library alone: it introspects each token.
import { createServer } from 'node:http'

/** Returns a function that asks Grantor about access tokens (RFC 7662). */
export function introspection(issuer, { client_id, client_secret }) {
  const pair = [client_id, client_secret].map(encodeURIComponent).join(':')
  const authorization = 'Basic ' + Buffer.from(pair).toString('base64')
  return async (token) => {
    const response = await fetch(`${issuer}/oauth2/introspect`, {
      method: 'POST', headers: { authorization }, body: new URLSearchParams({ token }), signal: AbortSignal.timeout(2000),
    })
    if (!response.ok) throw new Error(`Grantor answers ${response.status}`)
    return response.json()
  }
}

/** GET /orders, for tokens with the scope orders:read. */
export function orders(introspect) {
  return createServer(async (request, response) => {
    const answer = (status, body = {}, challenge) => {
      response.writeHead(status, { 'Content-Type': 'application/json', ...(challenge && { 'WWW-Authenticate': challenge }) })
      response.end(JSON.stringify(body))
    }
    const token = /^Bearer +([^ ]+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (!token) return answer(401, {}, 'Bearer')
    let about
    try {
      about = await introspect(token)
    } catch {
      return answer(503) // not 401: the token may be good
    }
    if (!about.active) return answer(401, {}, 'Bearer error="invalid_token"')
    if (!about.scope.split(' ').includes('orders:read')) {
      return answer(403, {}, 'Bearer error="insufficient_scope", scope="orders:read"')
    }
    answer(200, { for: about.sub, orders: ['apples', 'pears'] })
  })
}
