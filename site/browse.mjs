// Opens each page of the built site in a real Chromium, at a phone's width and at a desk's, and searches.
// It serves the site itself, on a free loopback port. Arguments name the pages to open, if not all.
// With SITE_SHOTS=folder it writes pictures there.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { readdirSync } from 'node:fs'
import { extname, join, normalize } from 'node:path'
import { chromium } from 'playwright-core'
import { base, out } from './settings.mjs'

const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml'
}
const widths = { phone: { width: 390, height: 844 }, desk: { width: 1440, height: 900 } }
const complaints = []

function serve() {
  const server = createServer(async ({ url }, response) => {
    let { pathname } = new URL(url, 'http://site')
    if (pathname.endsWith('/')) pathname += 'index.html'
    const inSite = pathname.startsWith(base) ? pathname.slice(base.length) : 'outside'
    const body = await readFile(join(out, normalize(decodeURIComponent(inSite)))).catch(() => null)
    response.writeHead(body ? 200 : 404, { 'Content-Type': types[extname(pathname)] ?? 'application/octet-stream' })
    response.end(body ?? 'not found')
  })
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)))
}

// watched opens a tab that complains about errors, failed answers, and requests to other hosts.
async function watched(context, where, origin) {
  const tab = await context.newPage()
  const complain = (text) => complaints.push(`${where()}: ${text}`)
  tab.on('console', (m) => ['error', 'warning'].includes(m.type()) && complain('console: ' + m.text()))
  tab.on('pageerror', (e) => complain('error: ' + e.message))
  tab.on('request', (r) => /^(data:|blob:)/.test(r.url()) || r.url().startsWith(origin) || complain('asks elsewhere: ' + r.url()))
  tab.on('response', (r) => r.status() >= 400 && complain(`${r.status()} for ${r.url()}`))
  return tab
}

// open goes to a page and waits until Vue serves it.
async function open(tab, url) {
  await tab.goto(url)
  await tab.waitForFunction(() => !document.querySelector('#app') || document.querySelector('#app').__vue_app__?._container)
  await tab.evaluate(() => Promise.all([...document.images].map((i) => i.decode().catch(() => {}))))
}

// look complains if a reader of the page must scroll sideways, or a picture is missing.
async function look(tab, where) {
  const seen = await tab.evaluate(() => ({
    title: document.querySelector('h1')?.textContent ?? '',
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    culprits: [...document.querySelectorAll('body *')]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, table, .picture, nav, aside'))
      .slice(0, 3).map((e) => `${e.tagName} ${e.textContent.slice(0, 60)}`),
    missing: [...document.images].filter((i) => !i.naturalWidth).map((i) => i.src)
  }))
  if (!seen.title) complaints.push(`${where}: no heading`)
  if (seen.wide > 0 || seen.culprits.length) complaints.push(`${where}: ${seen.wide} pixels too wide: ${seen.culprits.join('; ')}`)
  if (seen.missing.length) complaints.push(`${where}: no picture ${seen.missing}`)
}

// find types words into the search and opens the first page found, which must say the words.
async function find(tab, words) {
  await tab.locator('.VPNavBarSearch button').first().click()
  await tab.locator('#localsearch-input').fill(words)
  const first = tab.locator('.VPLocalSearchBox a.result').first()
  const href = await first.getAttribute('href')
  await first.click()
  await tab.waitForURL((u) => u.pathname + u.hash === href)
  await tab.locator('.vp-doc').filter({ hasText: new RegExp(words, 'i') }).waitFor()
  const { hash } = new URL(tab.url())
  if (hash) await tab.locator(`[id="${decodeURIComponent(hash.slice(1))}"]`).waitFor()
}

// visit opens pages at one width in one colour scheme.
async function visit({ browser, origin, name, colorScheme, pages, searches }) {
  const context = await browser.newContext({ viewport: widths[name], colorScheme })
  context.setDefaultTimeout(30_000)
  let page = ''
  const where = () => `${page} (${name}, ${colorScheme})`
  const tab = await watched(context, where, origin + base)
  for (page of pages) {
    await open(tab, origin + base + page)
    await look(tab, where())
    const file = `${page.replaceAll('/', '_')}-${name}-${colorScheme}.png`
    if (process.env.SITE_SHOTS) await tab.screenshot({ path: join(process.env.SITE_SHOTS, file) })
  }
  if (searches) await find(tab, 'refresh token')
  await context.close()
}

const named = process.argv.slice(2)
const built = readdirSync(out, { recursive: true }).map((n) => n.replaceAll('\\', '/')).filter((n) => n.endsWith('.html') && n !== '404.html')
const pages = named.length ? named : built
const server = await serve()
const origin = `http://127.0.0.1:${server.address().port}`
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] // as root Chromium has no sandbox
})
try {
  for (const name of Object.keys(widths)) {
    await visit({ browser, origin, name, colorScheme: 'light', pages, searches: !named.length })
    await visit({ browser, origin, name, colorScheme: 'dark', pages: pages.slice(0, 5) })
  }
} finally {
  await browser.close()
  server.close()
}
if (complaints.length) {
  console.error([...new Set(complaints)].join('\n'))
  process.exit(1)
}
console.log(`${pages.length} pages opened at ${Object.values(widths).map((v) => v.width).join(' and ')} pixels`)
