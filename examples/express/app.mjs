// An API that takes opaque tokens.
import express from 'express'
import { introspection } from './introspection.mjs'

const { ISSUER, GRANTOR_CLIENT_ID, GRANTOR_CLIENT_SECRET, PORT = '8081' } = process.env
const requireScope = introspection({ issuer: ISSUER, clientId: GRANTOR_CLIENT_ID, clientSecret: GRANTOR_CLIENT_SECRET })

const app = express()
app.get('/orders', requireScope('orders:read'), (request, response) => {
  response.json({ for: request.auth.sub, orders: ['apples', 'pears'] })
})
app.post('/orders', requireScope('orders:write'), (request, response) => {
  response.status(201).json({ created: true })
})
app.listen(Number(PORT), '127.0.0.1')
