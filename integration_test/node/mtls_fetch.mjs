// fetch with a client certificate: Node's own has no option for it.
import https from 'node:https'
import fs from 'node:fs'

const read = (name) => fs.readFileSync(process.env[name])

export const fetchWith = (certificate) => async (url, { method = 'GET', headers, body } = {}) => {
  const options = { method, headers: Object.fromEntries(new Headers(headers)), ca: read('CA'), agent: false }
  if (certificate) Object.assign(options, { cert: read('CERT'), key: read('KEY') })
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('end', () => resolve(new Response(Buffer.concat(chunks), { status: answer.statusCode, headers: answer.headers })))
    })
    request.on('error', reject)
    request.end(body === undefined || body === null ? undefined : body.toString())
  })
}
