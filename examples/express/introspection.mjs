// Express middleware that asks Grantor about each token (RFC 7662): a revoked token is refused at once.

/** Returns requireScope('orders:read'), a middleware. request.auth is then what Grantor says of the token. */
export function introspection({ issuer, clientId, clientSecret }) {
  const pair = [clientId, clientSecret].map(encodeURIComponent).join(':')
  const authorization = 'Basic ' + Buffer.from(pair).toString('base64')

  const introspect = async (token) => {
    const response = await fetch(`${issuer}/oauth2/introspect`, { // fetch keeps connections
      method: 'POST', headers: { authorization }, body: new URLSearchParams({ token }), signal: AbortSignal.timeout(2000),
    })
    if (!response.ok) throw new Error(`Grantor answers ${response.status}`)
    return response.json()
  }

  return (scope) => async (request, response, next) => {
    const refuse = (status, challenge) => response.status(status).set('WWW-Authenticate', challenge).end()
    const token = /^Bearer +([^ ]+)$/i.exec(request.get('Authorization') ?? '')?.[1]
    if (!token) return refuse(401, 'Bearer')
    let about
    try {
      about = await introspect(token)
    } catch (error) {
      console.error('no introspection:', error.message)
      return response.status(503).set('Retry-After', '1').end() // not 401: the token may be good
    }
    if (!about.active || about.token_type !== 'Bearer' || about.cnf) return refuse(401, 'Bearer error="invalid_token"')
    if (!(about.scope ?? '').split(' ').includes(scope)) return refuse(403, `Bearer error="insufficient_scope", scope="${scope}"`)
    request.auth = about
    next()
  }
}
