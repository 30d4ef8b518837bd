// Which Markdown files are pages of the site, under which path, and in which order of the left-hand map.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from './settings.mjs'

export const mapFile = 'docs/README.md'

// Pages that are not below docs/, and their paths on the site.
const outside = {
  'README.md': 'index.md',
  [mapFile]: 'map.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
  'python/django-grantor/README.md': 'guides/django-grantor.md'
}

// Files that the site serves beside its pages, so that tools can fetch them.
export const served = {
  'server/openapi_public.json': 'openapi/public.json',
  'server/openapi.json': 'openapi/admin.json'
}

// sections are the groups of the left-hand map, by the folder of the page on the site.
const sections = [
  { text: 'Guides', folder: 'guides' },
  { text: 'Reference', folder: 'reference' },
  { text: 'Operate', folder: 'operate' },
  { text: 'Explain', folder: 'explain' },
  { text: 'Evidence', folder: 'evidence' }
]

// rewrites names each page's path on the site, by its path in the repository.
export const rewrites = {
  ...outside,
  ...Object.fromEntries(
    readdirSync(join(root, 'docs'), { recursive: true })
      .map((name) => 'docs/' + name.replaceAll('\\', '/'))
      .filter((name) => name.endsWith('.md') && name !== mapFile)
      .map((name) => [name, name.slice('docs/'.length)])
  )
}

// srcExclude leaves out every other Markdown file of the repository.
export const srcExclude = ['!(docs|python)/**/*', 'python/!(django-grantor)/**/*', 'python/django-grantor/*/**/*']

export const read = (name) => readFileSync(join(root, name), 'utf8').replaceAll('\r\n', '\n')

// titleOf returns the first heading of a page, without marks of code.
export function titleOf(name) {
  const heading = /^# (.+)$/m.exec(read(name))
  if (!heading) throw new Error(`${name} has no heading "# …": the left-hand map needs a title`)
  return heading[1].replaceAll('`', '')
}

// target returns the file or folder of the repository that a relative link leads to.
export function target(page, href) {
  const [file, fragment] = href.split('#')
  return { name: file ? posix.join(posix.dirname(page), decodeURI(file)) : page, fragment }
}

// mapped returns the pages that docs/README.md links to, in its order.
export function mapped() {
  const links = [...read(mapFile).matchAll(/\]\(([^)\s]+)\)/g)].map((m) => m[1])
  const names = links.filter((href) => !/^[a-z]+:/.test(href)).map((href) => target(mapFile, href).name)
  return [...new Set(names)].filter((name) => name in rewrites && name !== mapFile)
}

const entry = (name) => ({ text: titleOf(name), link: '/' + rewrites[name].replace(/(index)?\.md$/, (_, i) => (i ? '' : '.html')) })

// sidebar makes the left-hand map from the map of docs/README.md. A page that the map forgets stops the build.
export function sidebar() {
  const inMap = mapped()
  const forgotten = Object.keys(rewrites).filter((name) => name.startsWith('docs/') && name !== mapFile && !inMap.includes(name))
  if (forgotten.length) throw new Error(`${mapFile} has no link to ${forgotten.join(', ')}: add one to "Which page for whom"`)
  const inFolder = (folder) => inMap.filter((name) => posix.dirname(rewrites[name]) === folder)
  const groups = sections.map(({ text, folder }) => ({ text, collapsed: false, items: inFolder(folder).map(entry) }))
  groups.unshift({ text: 'Start', items: ['README.md', mapFile, 'docs/questions.md'].map(entry) })
  groups.push({ text: 'Project', items: ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'].map(entry) })
  const shown = new Set(groups.flatMap((g) => g.items.map((i) => i.link)))
  const homeless = Object.keys(rewrites).filter((name) => !shown.has(entry(name).link))
  if (homeless.length) throw new Error(`site/pages.mjs has no section for ${homeless.join(', ')}`)
  return groups
}

// isThere says whether the repository has a file or a folder of the name.
export const isThere = (name) => existsSync(join(root, name))
