// RFC 7591 by oauth4webapi: register with an initial access token, then get a token as the new client.
import * as oauth from 'oauth4webapi'
import assert from 'node:assert'

const { ISSUER, ADMIN, INITIAL } = process.env
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }))
as.registration_endpoint = `${ADMIN}/oauth2/register` // the operator's listener is not announced to everybody

const made = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as,
  { client_name: 'made by oauth4webapi', grant_types: ['client_credentials'], scope: 'orders:read', redirect_uris: [] }, { initialAccessToken: INITIAL, ...insecure }))
assert.ok(made.client_id && made.client_secret && made.registration_access_token)
let token
for (let i = 0; i < 50 && !token; i++) {
  const res = await oauth.clientCredentialsGrantRequest(as, made, oauth.ClientSecretBasic(made.client_secret), { scope: 'orders:read' }, insecure)
  if (res.status === 200) token = await oauth.processClientCredentialsResponse(as, made, res)
  else await new Promise((done) => setTimeout(done, 50))
}
assert.ok(token.access_token)
console.log('ok')
