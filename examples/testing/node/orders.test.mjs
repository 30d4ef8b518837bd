// Tests of orders.mjs against a real Grantor: node --test
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { TestServer } from './grantor-server.mjs'
import { introspection, orders } from './orders.mjs'

let grantor, api

before(async () => {
  grantor = await TestServer.start()
  api = orders(introspection(grantor.issuer, grantor.api)).listen(0, '127.0.0.1')
  await once(api, 'listening')
})

after(() => {
  api?.close()
  grantor?.close()
})

const get = (token) =>
  fetch(`http://127.0.0.1:${api.address().port}/orders`, { headers: token ? { authorization: `Bearer ${token}` } : {} })

test('who reads needs orders:read', async () => {
  assert.equal((await get(await grantor.token('orders:read'))).status, 200)
  const refused = await get(await grantor.token('orders:write'))
  assert.equal(refused.status, 403)
  assert.match(refused.headers.get('www-authenticate'), /scope="orders:read"/)
  assert.equal((await get()).status, 401)
})

test('the API sees which user asks', async () => {
  const response = await get(await grantor.token('orders:read', { sub: 'u-1' }))
  assert.equal((await response.json()).for, 'u-1')
})

test('a token that was revoked, or has expired, is refused', async () => {
  for (const end of [grantor.revoke, grantor.expire]) {
    const token = await grantor.token('orders:read')
    assert.equal((await get(token)).status, 200)
    await end(token)
    assert.equal((await get(token)).status, 401)
  }
})

test('a token ends with its lifetime', async () => {
  const token = await grantor.token('orders:read', { expires_in: 60 })
  await grantor.advance('61s')
  assert.equal((await get(token)).status, 401)
})

test('the API answers 503 while Grantor fails', async () => {
  const token = await grantor.token('orders:read')
  await grantor.fail({ requests: 1 })
  assert.equal((await get(token)).status, 503)
  assert.equal((await get(token)).status, 200)
})
