// A login of a user at Grantor: for React Native, Capacitor, Electron, or any program with fetch.

/** Where the refresh token is kept: the system's key store (Keychain, Keystore), never a plain file. */
export interface Store {
  load(): Promise<string | null>
  save(refreshToken: string): Promise<void>
  clear(): Promise<void>
}

export interface Options {
  issuer: string // https://auth.example.com
  clientId: string // a public client with the password grant
  api: string // https://orders.example.com: the token is sent there alone
  scope?: string
  store: Store
}

/** The session is over, or there is none: show the login screen. */
export class LoggedOut extends Error {}

/** Grantor did not answer, or cannot at the moment: the session goes on. Try again later. */
export class Unavailable extends Error {}

interface Tokens {
  access_token: string
  expires_in: number // seconds
  refresh_token: string
}

interface Answer {
  status: number
  body: Partial<Tokens> & { error?: string; error_description?: string }
}

const ATTEMPTS = 3
const LONGEST_PAUSE = 5 // seconds between attempts
const EARLY = 10_000 // milliseconds before its end in which an access token is not used any more

export class Session {
  private access?: { token: string; until: number }
  private refreshing?: Promise<string>
  private turn: Promise<unknown> = Promise.resolve() // of what writes the store
  private over = false // from a log-out to the next login

  constructor(private readonly options: Options) {}

  /** Logs in. Do not repeat it without the user: each wrong password counts towards a lockout. */
  login(username: string, password: string): Promise<void> {
    return this.inTurn(async () => {
      const { scope } = this.options
      const answer = await this.ask('token', { grant_type: 'password', username, password, ...(scope && { scope }) })
      if (answer.status === 400) throw refusal(answer, 'wrong name or password')
      await this.keep(answer)
      this.over = false
    })
  }

  /** fetch with the access token. A body must be one that can be sent twice: no stream. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(path, this.options.api)
    if (url.origin !== new URL(this.options.api).origin) throw new TypeError(`${url.origin} is not the API`)
    const used = await this.accessToken()
    const response = await fetch(url, authorized(init, used))
    if (response.status !== 401) return response
    await response.body?.cancel()
    if (this.access?.token === used) this.access = undefined // else another request has renewed it
    return fetch(url, authorized(init, await this.accessToken()))
  }

  /** Ends the session on this device, at Grantor and here. */
  async logout(): Promise<void> {
    this.over = true // no refresh begins any more
    const token = await this.inTurn(async () => {
      this.over = true // a login under way has ended before
      this.access = undefined
      const found = await this.options.store.load()
      await this.options.store.clear()
      return found
    })
    if (token) await this.ask('revoke', { token }) // of a refresh token the whole session ends
  }

  private async accessToken(): Promise<string> {
    if (this.over) throw new LoggedOut('not logged in')
    if (this.access && Date.now() < this.access.until) return this.access.token
    // One refresh for all requests that wait. A second with the same token would be a reuse.
    this.refreshing ??= this.inTurn(() => this.refresh()).finally(() => (this.refreshing = undefined))
    return this.refreshing
  }

  /** Lets logins, log-outs and refreshes run one by one: an answer for one user never follows another's. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work)
    this.turn = mine.catch(() => {})
    return mine
  }

  private async refresh(): Promise<string> {
    if (this.over) throw new LoggedOut('not logged in')
    if (this.access && Date.now() < this.access.until) return this.access.token // of a login before its turn
    const refresh_token = await this.options.store.load()
    if (!refresh_token) throw new LoggedOut('not logged in')
    const answer = await this.ask('token', { grant_type: 'refresh_token', refresh_token })
    if (answer.status === 200) return this.keep(answer)
    const error = refusal(answer, 'the session is over') // by the user, an operator, or a new password
    if (error instanceof LoggedOut) {
      this.access = undefined
      await this.options.store.clear()
    }
    throw error
  }

  /** Stores the refresh token before anything is done with the access token. */
  private async keep(answer: Answer): Promise<string> {
    const tokens = answer.body as Tokens
    await this.options.store.save(tokens.refresh_token)
    this.access = { token: tokens.access_token, until: Date.now() + tokens.expires_in * 1000 - EARLY }
    return tokens.access_token
  }

  /**
   * Asks Grantor, and repeats the same question where no answer came. A refresh whose answer was lost is
   * safe to repeat: within its retry window Grantor gives the same answer to the same token.
   */
  private async ask(endpoint: 'token' | 'revoke', form: Record<string, string>): Promise<Answer> {
    const body = new URLSearchParams({ client_id: this.options.clientId, ...form })
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(`${this.options.issuer}/oauth2/${endpoint}`, {
        method: 'POST', body, redirect: 'error', signal: AbortSignal.timeout(5000),
      }).catch(() => undefined)
      if (response && (response.status === 200 || response.status === 400)) {
        const said = await response.json().catch(() => undefined)
        if (said) return { status: response.status, body: said as Answer['body'] } // else it broke off: no answer
      }
      const again = !response || response.status === 200 || response.status === 503
      if (!again || attempt === ATTEMPTS || form.grant_type === 'password') {
        throw new Unavailable(response ? `Grantor answers ${response.status}` : 'no answer')
      }
      const seconds = Number(response?.headers.get('Retry-After') ?? attempt) || attempt
      await new Promise((resolve) => setTimeout(resolve, Math.min(seconds, LONGEST_PAUSE) * 1000))
    }
  }
}

/** invalid_grant is about the user; every other refusal is a mistake in the app. */
function refusal(answer: Answer, why: string): Error {
  const { error, error_description } = answer.body
  return error === 'invalid_grant' ? new LoggedOut(why) : new Error(`${error}: ${error_description}`)
}

function authorized(init: RequestInit, token: string): RequestInit {
  const headers = new Headers(init.headers)
  headers.set('Authorization', `Bearer ${token}`)
  return { ...init, headers }
}
