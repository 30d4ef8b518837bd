// Starts `grantor serve --trial --test` for the tests of an API, and tells it what to do.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export class TestServer {
  /** Starts a Grantor in memory, on a free port. */
  static async start(program = process.env.GRANTOR ?? 'grantor') {
    const child = spawn(program, ['serve', '--trial', '--test', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] })
    const url = await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`${program} ended with status ${code}: run it by hand to see why`)))
      createInterface(child.stdout).once('line', (line) => resolve(line.match(/listens on (\S+),/)[1]))
    })
    const server = new TestServer(child, url)
    return Object.assign(server, await server.ask('GET', '')) // issuer, api, app
  }

  constructor(child, url) {
    Object.assign(this, { child, url })
  }

  close() {
    this.child.removeAllListeners('exit')
    this.child.kill()
  }

  async ask(method, path, body) {
    const headers = { 'Content-Type': 'application/json' }
    const response = await fetch(`${this.url}/test${path}`, { method, headers, body: body && JSON.stringify(body) })
    const answer = await response.json()
    if (!response.ok) throw new Error(answer.error_description) // the test asks for what cannot be
    return answer
  }

  /** more: sub, client_id, expires_in, aud, format */
  async token(scope, more = {}) {
    return (await this.ask('POST', '/tokens', { scope, ...more })).access_token
  }

  revoke = (token) => this.ask('POST', '/revoke', { token })
  expire = (token) => this.ask('POST', '/expire', { token })
  fail = (how = {}) => this.ask('POST', '/fail', how) // status, requests
  recover = () => this.ask('DELETE', '/fail')
  advance = (duration) => this.ask('POST', '/clock', { advance: duration })
}
