// Where the site reads, where it writes, and where it will be served.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const here = dirname(fileURLToPath(import.meta.url))

// root is the repository. A test builds from a copy of this folder elsewhere, and sets SITE_SOURCE.
export const root = process.env.SITE_SOURCE || dirname(here)

export const out = process.env.SITE_OUT || join(root, 'bin', 'site')

// base is the path of the site at its host, such as /grantor/.
export const base = process.env.SITE_BASE || '/'
if (!/^\/([^/].*\/)?$/.test(base)) throw new Error(`SITE_BASE is "${base}": the path of the site begins and ends with /, such as /grantor/`)

export const repository = 'https://github.com/grantor-auth/grantor'
