// Tests of session.ts against a real Grantor, through a wire that can lose answers: npm test
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, beforeEach, test } from 'node:test'
import { LoggedOut, Session, Unavailable, type Store } from './session.js'

let grantor: ChildProcess
let upstream: string // Grantor's URL
let credentials: { api: { client_id: string; client_secret: string }; app: { client_id: string } }
let wire: Server // between the app and Grantor
let api: Server
let refreshes = 0 // questions to the token endpoint
let losing = 0 // answers that the wire loses
let breaking = 0 // answers that break off in their body
let later = '' // Retry-After of the wire

before(async () => {
  grantor = spawn(process.env.GRANTOR ?? 'grantor', ['serve', '--trial', '--test', '--listen', '127.0.0.1:0'])
  const [line] = await once(createInterface(grantor.stdout!), 'line')
  upstream = line.match(/listens on (\S+),/)[1]
  credentials = (await (await fetch(`${upstream}/test`)).json()) as typeof credentials
  wire = await listen(forward)
  api = await listen(orders)
})

after(() => {
  wire.close()
  api.close()
  grantor.kill()
})

beforeEach(async () => {
  await control('users', { sub: 'u-1', username: 'ada', password: 'correct horse', scope: 'orders:read' })
  refreshes = 0
  later = ''
})

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<Server> {
  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const url = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function read(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of request) text += piece
  return text
}

/** Hands a request on to Grantor, and its answer back or not. */
async function forward(request: IncomingMessage, response: ServerResponse) {
  if (request.url === '/oauth2/token') refreshes++
  const headers = { 'Content-Type': request.headers['content-type'] ?? '' }
  const answer = await fetch(upstream + request.url, { method: 'POST', headers, body: await read(request) })
  if (losing > 0) {
    losing--
    response.destroy()
    return
  }
  response.writeHead(answer.status, { 'Content-Type': 'application/json', 'Retry-After': later || (answer.headers.get('Retry-After') ?? '0') })
  const text = await answer.text()
  if (breaking > 0) {
    breaking--
    response.write(text.slice(0, 20), () => response.destroy())
    return
  }
  response.end(text)
}

/** An API that introspects each token. */
async function orders(request: IncomingMessage, response: ServerResponse) {
  const { client_id, client_secret } = credentials.api
  const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
  const authorization = 'Basic ' + Buffer.from(`${client_id}:${client_secret}`).toString('base64')
  const answer = await fetch(`${upstream}/oauth2/introspect`, { method: 'POST', headers: { authorization }, body: new URLSearchParams({ token }) })
  const about = (await answer.json()) as { active: boolean; sub: string }
  response.writeHead(about.active ? 200 : 401).end(JSON.stringify({ for: about.sub }))
}

async function control(endpoint: string, body: object) {
  const response = await fetch(`${upstream}/test/${endpoint}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  })
  assert.equal(response.status, 200, await response.text())
}

class Memory implements Store {
  token: string | null = null
  load = async () => this.token
  save = async (token: string) => void (this.token = token)
  clear = async () => void (this.token = null)
}

async function loggedIn(store = new Memory()) {
  const session = new Session({ issuer: url(wire), clientId: credentials.app.client_id, api: url(api), scope: 'orders:read', store })
  await session.login('ada', 'correct horse')
  refreshes = 0
  return { session, store }
}

const restarted = (store: Store) => new Session({ issuer: url(wire), clientId: credentials.app.client_id, api: url(api), scope: 'orders:read', store })

test('a login, and a request as the user', async () => {
  const { session, store } = await loggedIn()
  const response = await session.fetch('/orders')
  assert.deepEqual(await response.json(), { for: 'u-1' })
  assert.match(store.token!, /^grt_/)
  assert.equal(refreshes, 0)
})

test('a wrong password is asked once', async () => {
  const { session } = await loggedIn()
  await assert.rejects(session.login('ada', 'wrong'), LoggedOut)
  assert.equal(refreshes, 1)
})

test('parallel requests refresh once', async () => {
  const { session, store } = await loggedIn()
  const before = store.token
  await control('clock', { advance: '16m' }) // Grantor's clock: the app still believes in its access token
  const answers = await Promise.all(Array.from({ length: 20 }, () => session.fetch('/orders')))
  assert.deepEqual(answers.map((answer) => answer.status), Array(20).fill(200))
  assert.equal(refreshes, 1)
  assert.notEqual(store.token, before)
})

test('a refresh whose answer was lost is repeated with the same token', async () => {
  const { store } = await loggedIn()
  losing = 1
  assert.equal((await restarted(store).fetch('/orders')).status, 200)
  assert.equal(refreshes, 2)
  assert.equal((await restarted(store).fetch('/orders')).status, 200, 'the session stands')
})

test('without any answer the session stands', async () => {
  const { store } = await loggedIn()
  const before = store.token
  losing = 3
  await assert.rejects(restarted(store).fetch('/orders'), Unavailable)
  assert.equal(store.token, before)
  assert.equal((await restarted(store).fetch('/orders')).status, 200)
})

test('while Grantor answers 503 the session stands', async () => {
  const { store } = await loggedIn()
  await control('fail', { status: 503, requests: 1 })
  assert.equal((await restarted(store).fetch('/orders')).status, 200)
  assert.equal(refreshes, 2)
})

test('a restarted app goes on', async () => {
  const { store } = await loggedIn()
  assert.deepEqual(await (await restarted(store).fetch('/orders')).json(), { for: 'u-1' })
})

test('log out ends the session at Grantor too', async () => {
  const { session, store } = await loggedIn()
  assert.equal((await session.fetch('/orders')).status, 200)
  const kept = new Memory()
  await kept.save(store.token!)
  await session.logout()
  assert.equal(store.token, null)
  await assert.rejects(session.fetch('/orders'), LoggedOut)
  await assert.rejects(restarted(kept).fetch('/orders'), LoggedOut, 'a copy of the refresh token is good for nothing')
})

test('a log-out during a refresh leaves nothing behind', async () => {
  const { store } = await loggedIn()
  const session = restarted(store)
  const request = session.fetch('/orders').catch(() => undefined)
  await session.logout()
  await request
  assert.equal(store.token, null)
})

test('a user who is gone is logged out', async () => {
  const { store } = await loggedIn()
  await fetch(`${upstream}/test/users/u-1`, { method: 'DELETE' })
  await assert.rejects(restarted(store).fetch('/orders'), LoggedOut)
  assert.equal(store.token, null)
})

test('the token goes to the API alone', async () => {
  const { session } = await loggedIn()
  await assert.rejects(session.fetch('https://evil.example.com/'), TypeError)
})

test('who logs in during a refresh of the user before is that user afterwards', async () => {
  await control('users', { sub: 'u-2', username: 'bob', password: 'correct horse', scope: 'orders:read' })
  const { store } = await loggedIn()
  const session = restarted(store) // ada's, without an access token
  const login = session.login('bob', 'correct horse')
  await Promise.all([session.fetch('/orders'), login])
  assert.deepEqual(await (await session.fetch('/orders')).json(), { for: 'u-2' })
  assert.deepEqual(await (await restarted(store).fetch('/orders')).json(), { for: 'u-2' }, 'the stored session')
})

test('a log-out during a login leaves nothing behind', async () => {
  const { session, store } = await loggedIn()
  const login = session.login('ada', 'correct horse')
  await session.logout()
  await login.catch(() => undefined)
  assert.equal(store.token, null)
  await assert.rejects(session.fetch('/orders'), LoggedOut)
})

test('an answer that breaks off is no answer: the refresh is repeated', async () => {
  const { store } = await loggedIn()
  breaking = 1
  assert.equal((await restarted(store).fetch('/orders')).status, 200)
  assert.equal(refreshes, 2)
})

test('Retry-After does not keep a request waiting for long', async () => {
  const { store } = await loggedIn()
  later = '3600'
  await control('fail', { status: 503, requests: 1 })
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('it waits')), 8000).unref())
  assert.equal(((await Promise.race([restarted(store).fetch('/orders'), late])) as Response).status, 200)
})
