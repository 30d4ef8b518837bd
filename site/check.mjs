// Checks the built site: every link leads to a page and to a heading of it, and no page loads anything from elsewhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { rewrites } from './pages.mjs'
import { base, out } from './settings.mjs'

const files = readdirSync(out, { recursive: true }).map((name) => name.replaceAll('\\', '/'))
const html = Object.fromEntries(
  files.filter((name) => name.endsWith('.html')).map((name) => [name, readFileSync(join(out, name), 'utf8')])
)
const ids = Object.fromEntries(
  Object.entries(html).map(([name, text]) => [name, new Set([...text.matchAll(/\s(?:id|name)="([^"]+)"/g)].map((m) => m[1]))])
)
const complaints = []

// complaintOfLink says what is wrong with a link of a page, '' when it leads somewhere.
function complaintOfLink(page, href) {
  if (/^[a-z]+:/i.test(href)) return ''
  const [path, fragment] = href.split('#')
  if (path.startsWith('/') && !path.startsWith(base)) return 'is outside ' + base
  let name = path.startsWith('/') ? path.slice(base.length) : posix.join(posix.dirname(page), path)
  if (!path) name = page
  if (name === '' || name.endsWith('/')) name += 'index.html'
  if (!existsSync(join(out, name))) return 'leads to no file'
  if (fragment && ids[name] && !ids[name].has(decodeURIComponent(fragment))) return 'leads to no heading'
  return ''
}

for (const page of Object.values(rewrites).map((name) => name.replace(/\.md$/, '.html'))) {
  if (!html[page]) complaints.push(`${page} was not built`)
}
let links = 0
for (const [page, text] of Object.entries(html)) {
  for (const [, href] of text.matchAll(/<a\s[^>]*?href="([^"]*)"/g)) {
    links++
    const complaint = complaintOfLink(page, href)
    if (complaint) complaints.push(`${page}: the link ${href} ${complaint}`)
  }
  const loads = [...text.matchAll(/<(?:script|img|source|iframe|link)\s[^>]*?(?:src|href)="([^"]*)"/g)].map((m) => m[1])
  for (const url of loads.filter((u) => /^([a-z]+:)?\/\//i.test(u))) complaints.push(`${page} loads ${url} from elsewhere`)
  if (!/<main[\s>]/.test(text) && page !== '404.html') complaints.push(`${page} has no content`)
}
for (const name of files.filter((n) => n.endsWith('.css'))) {
  const text = readFileSync(join(out, name), 'utf8')
  for (const [load] of text.matchAll(/(?:url\(|@import)\s*["']?(?:https?:)?\/\/[^)"';]*/g)) complaints.push(`${name} loads ${load} from elsewhere`)
}
if (complaints.length) {
  console.error(complaints.join('\n'))
  process.exit(1)
}
console.log(`${Object.keys(html).length} pages, ${links} links, nothing from elsewhere`)
