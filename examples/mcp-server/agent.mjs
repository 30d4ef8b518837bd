// An agent that calls one tool of an MCP server. It knows the server's URL and its own credentials.
import { readFileSync } from 'node:fs'

import { ClientCredentialsProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const { MCP_URL, ISSUER, CLIENT_ID, CLIENT_SECRET, CLIENT_KEY, SCOPE } = process.env
const note = process.argv[2]

// The TypeScript SDK asks for this scope alone, whatever a challenge names. expectedIssuer keeps the
// credentials from every other authorization server.
const scope = SCOPE ?? (note ? 'notes:write' : 'notes:read')
const common = { clientId: CLIENT_ID, expectedIssuer: ISSUER, scope }
const authProvider = CLIENT_KEY
  ? new PrivateKeyJwtProvider({ ...common, privateKey: readFileSync(CLIENT_KEY, 'utf8'), algorithm: 'ES256' })
  : new ClientCredentialsProvider({ ...common, clientSecret: CLIENT_SECRET })

const client = new Client({ name: 'agent', version: '1' })
await client.connect(new StreamableHTTPClientTransport(new URL(MCP_URL), { authProvider }))
const result = await client.callTool(note ? { name: 'add_note', arguments: { text: note } } : { name: 'list_notes', arguments: {} })
if (result.isError) throw new Error(result.content[0].text)
console.log(result.content[0].text)
await client.close()
