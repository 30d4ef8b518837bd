// A client that gets tokens by its id and secret (RFC 6749 §4.4), and calls an API with them.
import { setTimeout as sleep } from 'node:timers/promises'

const { ISSUER, GRANTOR_CLIENT_ID, GRANTOR_CLIENT_SECRET, ORDERS } = process.env

/** Keeps one token for all callers, and gets the next one shortly before it expires. */
export class Tokens {
  #token
  #renewAt = 0
  #asking // the request that is under way, if there is one

  constructor(issuer, clientId, clientSecret, scope) {
    const pair = [clientId, clientSecret].map(encodeURIComponent).join(':') // RFC 6749 §2.3.1
    this.url = `${issuer}/oauth2/token`
    this.headers = { authorization: 'Basic ' + Buffer.from(pair).toString('base64') }
    this.form = { grant_type: 'client_credentials', scope }
  }

  /** Returns a token. refused is a token that an API answered with 401. */
  async get(refused) {
    if (this.#token && this.#token !== refused && performance.now() < this.#renewAt) return this.#token
    this.#asking ??= this.#renew().finally(() => { this.#asking = undefined }) // parallel callers share it
    return this.#asking
  }

  async #renew() {
    const asked = performance.now() // milliseconds of a clock that nobody sets
    const { access_token: token, expires_in: lifetime } = await this.#ask()
    this.#token = token
    this.#renewAt = asked + 1000 * (lifetime - Math.min(30, lifetime / 4))
    return token
  }

  async #ask() {
    for (let attempt = 0; ; attempt++) {
      let answer, wait = 2 ** attempt
      try {
        answer = await fetch(this.url, {
          method: 'POST', headers: this.headers, body: new URLSearchParams(this.form), redirect: 'error', signal: AbortSignal.timeout(10_000),
        })
        if (answer.ok) return await answer.json()
      } catch (failure) { // no answer at all
        if (attempt === 3) throw failure
      }
      if (answer) {
        wait = Number(answer.headers.get('retry-after') ?? wait)
        if (![429, 500, 502, 503, 504].includes(answer.status) || attempt === 3 || !(wait <= 60)) {
          throw new Error(`${answer.status} ${await answer.text()}`) // to repeat the request does not help
        }
      }
      await sleep(1000 * wait)
    }
  }
}

/** Asks the API, and once more with another token if the API refuses the first one. */
export async function call(tokens, url) {
  const ask = (token) =>
    fetch(url, { headers: { authorization: `Bearer ${token}` }, redirect: 'error', signal: AbortSignal.timeout(10_000) })
  const token = await tokens.get()
  const answer = await ask(token)
  return answer.status === 401 ? ask(await tokens.get(token)) : answer
}

const tokens = new Tokens(ISSUER, GRANTOR_CLIENT_ID, GRANTOR_CLIENT_SECRET, 'orders:read')
try {
  const answers = await Promise.all([1, 2, 3].map(() => call(tokens, ORDERS)))
  console.log(...answers.map((answer) => answer.status))
} catch (failure) {
  console.error('no token:', failure.message)
  process.exitCode = 1
}
