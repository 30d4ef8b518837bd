// The links of the Markdown lead to files of the repository, as GitHub needs them. Here they become
// links to pages of the site, or to the file at GitHub if the site does not have it.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { isThere, rewrites, served, target } from './pages.mjs'
import { base, repository, root } from './settings.mjs'

// siteLink returns where a link of a page leads on the site. A link to nothing stops the build.
export function siteLink(page, href) {
  if (/^[a-z]+:/i.test(href) || href.startsWith('#')) return href
  const { name, fragment } = target(page, href)
  if (!isThere(name)) throw new Error(`${page} links to ${href}, but there is no ${name}`)
  const end = fragment ? '#' + fragment : ''
  if (rewrites[name]) return '/' + rewrites[name] + end
  if (served[name]) return base + served[name]
  const kind = statSync(join(root, name)).isDirectory() ? 'tree' : 'blob'
  return `${repository}/${kind}/main/${name}${end}`
}

// links is a plugin of markdown-it.
export function links(md, pageOf) {
  md.core.ruler.push('grantor_links', ({ tokens, env }) => {
    for (const token of tokens.flatMap((t) => t.children ?? [])) {
      if (token.type !== 'link_open') continue
      const href = siteLink(pageOf(env), token.attrGet('href'))
      token.attrSet('href', href)
      if (href.startsWith(base + 'openapi/')) token.attrSet('target', '_blank') // a file: VitePress would look for a page
    }
  })
}

// pictures gives each picture a frame that scrolls sideways on a phone, where the picture would be too small to read.
export function pictures(md) {
  const image = md.renderer.rules.image
  md.renderer.rules.image = (...args) => `<span class="picture" tabindex="0">${image(...args)}</span>`
}
