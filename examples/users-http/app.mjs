// An application that answers Grantor's questions about its users: POST /grantor.
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import { promisify } from 'node:util'

const { SECRET, PASSWORD, PORT } = process.env // SECRET: [users.http] secret, 32 bytes or more
const salt = randomBytes(16)
const hashed = (password) => promisify(scrypt)(password, salt, 64)

const users = new Map([['ada', { sub: 'u-1', scope: 'orders:read', hash: await hashed(PASSWORD) }]]) // your table

/** Says whether Grantor wrote the body, less than five minutes ago. */
function signed(header, body) {
  const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header ?? '') ?? []
  if (!signature || Math.abs(Date.now() / 1000 - Number(time)) >= 300) return false
  const right = createHmac('sha256', SECRET).update(`${time}.`).update(body).digest()
  return timingSafeEqual(right, Buffer.from(signature, 'hex'))
}

async function answer(question) {
  let name
  if (question.sub) { // a refresh: is this user still welcome?
    name = [...users.keys()].find((key) => users.get(key).sub === question.sub)
    if (!name) return [401, {}]
  } else {
    name = question.username.toLowerCase()
    const user = users.get(name)
    const given = await hashed(question.password) // for unknown names too: both take the same time
    if (!user) return [401, {}]
    if (!timingSafeEqual(given, user.hash)) return [401, { sub: user.sub }] // the failure counts for this user
  }
  const { sub, scope, hash } = users.get(name)
  return [200, { sub, username: name, scope, credential: hash.toString('hex') }]
}

createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  let status = 403, said = {} // neither yes nor no: Grantor answers its client 503
  if (request.url === '/grantor' && signed(request.headers['grantor-signature'], body)) {
    [status, said] = await answer(JSON.parse(body))
  }
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(said))
}).listen(Number(PORT), '127.0.0.1')
