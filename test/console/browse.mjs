// Opens each page of a console in a real Chromium, and complains about errors, foreign requests, pages that are too wide,
// and what axe finds. It logs in by the link in LINK. PASSES names widths and colour schemes, ONLY a part of the pages.
// With CONSOLE_SHOTS=folder it writes pictures there.
import { chromium } from 'playwright-core'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const sizes = { phone: { width: 390, height: 844 }, desk: { width: 1440, height: 900 } }
const links = JSON.parse(process.env.LINKS)
const passes = JSON.parse(process.env.PASSES)
const pages = JSON.parse(process.env.PAGES)
const base = new URL(links[0]).origin
const complaints = []

// watched opens a tab that complains about whatever an operator should not meet.
async function watched(context, where) {
  const tab = await context.newPage()
  const complain = (text) => complaints.push(`${where()}: ${text}`)
  tab.on('console', (m) => ['error', 'warning'].includes(m.type()) && complain('console: ' + m.text()))
  tab.on('pageerror', (e) => complain('error: ' + e.message))
  tab.on('dialog', (d) => { complain('a script opened a dialog: ' + d.message()); d.dismiss() })
  tab.on('request', (r) => r.url().startsWith(base + '/console/') || complain('asks elsewhere: ' + r.url()))
  tab.on('response', (r) => r.status() >= 400 && complain(`${r.status()} for ${r.url()}`))
  return tab
}

// look complains if a reader must scroll sideways, and about what axe finds.
async function look(tab, where) {
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (wide > 0) complaints.push(`${where}: ${wide} pixels too wide`)
  await tab.evaluate(axe) // by the debugger, so the policy of the page stays as it is
  const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  for (const v of found.violations) complaints.push(`${where}: axe ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 100)).join(' | ')}`)
}

// keyboard goes from the address bar by Tab: the first stop leads past the navigation.
async function keyboard(tab, where) {
  await tab.keyboard.press('Tab')
  const first = await tab.evaluate(() => document.activeElement.textContent)
  if (first !== 'Skip to the content') complaints.push(`${where}: Tab leads to ${first}`)
  await tab.keyboard.press('Enter')
  if (await tab.evaluate(() => document.activeElement.id) !== 'main') complaints.push(`${where}: the skip link leads nowhere`)
}

// confirmation types the name in a form that ends something.
async function confirmation(tab, where) {
  const details = tab.locator('details.danger').last()
  await details.locator('summary').click()
  const input = details.locator('input[data-confirm]')
  const button = details.locator('button')
  if (!(await button.isDisabled())) complaints.push(`${where}: nothing was typed, and the button works`)
  await input.fill(await input.getAttribute('data-confirm'))
  if (await button.isDisabled()) complaints.push(`${where}: the name was typed, and the button does not work`)
}

// create makes a client in the form, and looks at the page with its secret.
async function create(tab, where, id) {
  await tab.fill('input[name=name]', id)
  await tab.fill('input[name=client_id]', id)
  await tab.fill('input[name=scope]', 'orders:read')
  await tab.click('button.main')
  await tab.waitForSelector('#secret')
  await look(tab, where + ', created')
  await picture(tab, 'client_made', id)
}

async function picture(tab, page, pass) {
  if (!process.env.CONSOLE_SHOTS) return
  const file = `${page.replace(/[^a-z]+/gi, '_') || 'overview'}-${pass}.png`
  await tab.screenshot({ path: join(process.env.CONSOLE_SHOTS, file), fullPage: true })
}

async function visit(browser, link, { size, colorScheme }) {
  const context = await browser.newContext({ viewport: sizes[size], colorScheme, timezoneId: 'Asia/Tokyo', locale: 'en-GB' })
  context.setDefaultTimeout(60_000)
  let page = 'login'
  const where = () => `/console/${page} (${size}, ${colorScheme})`
  const tab = await watched(context, where)
  await tab.goto(link)
  await tab.waitForURL(base + '/console/')
  for (page of pages) {
    await tab.goto(base + '/console/' + page)
    if (page === '') await keyboard(tab, where())
    await look(tab, where())
    const zone = await tab.evaluate(() => document.querySelector('time')?.title ?? '')
    if (zone && !/GMT\+9|Japan/.test(zone)) complaints.push(`${where()}: a time is not in the viewer's zone: ${zone}`)
    if (page.startsWith('client?')) await confirmation(tab, where())
    const pass = `${size}-${colorScheme}-${process.env.NAME}`
    await picture(tab, page, pass)
    if (page === 'clients/new') await create(tab, where(), 'made-' + pass)
  }
  await context.close()
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] // as root Chromium has no sandbox
})
try {
  for (const [i, pass] of passes.entries()) await visit(browser, links[i], pass)
} finally {
  await browser.close()
}
if (complaints.length) {
  console.error([...new Set(complaints)].join('\n'))
  process.exit(1)
}
console.log(`${pages.length} pages opened`)
