// The site: the same Markdown that GitHub shows, as pages with search and a left-hand map.
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { slug } from 'github-slugger'
import { defineConfig } from 'vitepress'
import { links, pictures } from '../links.mjs'
import { rewrites, served, sidebar, srcExclude } from '../pages.mjs'
import { base, here, out, repository, root } from '../settings.mjs'

// pageOf returns the path in the repository of the page that is being rendered. The search index knows no realPath.
const pageOf = ({ realPath, path }) => relative(root, realPath ?? path).split(sep).join('/')

// The pages are outside this folder, so Vite looks for Vue in vain. Node finds it for the output below this folder.
const vueOfThisFolder = {
  name: 'grantor:vue',
  resolveId: (id, _, { ssr }) => (ssr && /^vue(\/server-renderer)?$/.test(id) ? { id, external: true } : null)
}

export default defineConfig({
  title: 'Grantor',
  description: 'An OAuth 2.0 token server in Go, for machines, first-party apps, and the APIs that they call.',
  lang: 'en',
  base,
  srcDir: root,
  srcExclude,
  rewrites,
  outDir: out,
  cacheDir: join(here, 'node_modules', '.cache', 'vitepress'),
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: base + 'icon.svg' }]],
  vite: {
    publicDir: join(here, 'public'),
    build: { assetsInlineLimit: 0 },
    plugins: [vueOfThisFolder]
  },
  markdown: {
    // GitHub's fragments of headings: one link leads to one place in both.
    anchor: { slugify: slug },
    attrs: { disable: true },
    config(md) {
      links(md, pageOf)
      pictures(md)
      // Vue fills in {{ … }}. In the Markdown such text is text.
      const text = md.renderer.rules.text
      md.renderer.rules.text = (...args) => text(...args).replaceAll('{{', '&#123;&#123;')
    }
  },
  themeConfig: {
    sidebar: sidebar(),
    nav: [
      { text: 'Map', link: '/map.html' },
      { text: 'Questions', link: '/questions.html' },
      { text: 'HTTP', link: '/reference/http.html' },
      { text: 'OpenAPI', items: [
        { text: 'Public endpoints', link: base + 'openapi/public.json', target: '_blank' },
        { text: 'Admin API', link: base + 'openapi/admin.json', target: '_blank' }
      ] },
      { text: 'Source', link: repository }
    ],
    outline: [2, 3],
    search: { provider: 'local' },
    editLink: { pattern: `${repository}/blob/main/:path`, text: 'This page at GitHub' },
    docFooter: { prev: 'Previous', next: 'Next' }
  },
  buildEnd({ outDir }) {
    for (const [source, to] of Object.entries(served)) {
      mkdirSync(dirname(join(outDir, to)), { recursive: true })
      copyFileSync(join(root, source), join(outDir, to))
    }
  }
})
