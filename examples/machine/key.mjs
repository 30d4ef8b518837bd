// Makes a key pair: the private key in billing-job.pem, the public one on standard output for config.toml.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
writeFileSync('billing-job.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
const { kty, crv, x } = publicKey.export({ format: 'jwk' })
console.log(`jwks = { keys = [{ kty = "${kty}", crv = "${crv}", x = "${x}", kid = "${randomUUID()}" }] }`)
