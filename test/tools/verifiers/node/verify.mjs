// Gives JWTs of a running Grantor to the verifiers of others in Node, and writes a line of JSON for
// each: which verifier, which alg and typ, and what it said.
//
//   node verify.mjs tokens.json
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import express from 'express';
import Fastify from 'fastify';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';
import { expressjwt } from 'express-jwt';
import { auth } from 'express-oauth2-jwt-bearer';
import fastifyJwtJwks from 'fastify-jwt-jwks';

const { issuer, jwks_uri: jwksUri, audience, tokens } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const require = createRequire(import.meta.url);

function version(name) {
  for (const dir of require.resolve.paths(name)) {
    try {
      return JSON.parse(readFileSync(`${dir}/${name}/package.json`, 'utf8')).version;
    } catch {}
  }
  return '';
}

// Ask an Express middleware about a token; "" is yes.
function byExpress(middleware, token) {
  const app = express();
  app.get('/', middleware, (_, res) => res.send('ok'));
  app.use((err, _req, res, _next) => res.status(err.status ?? 500).send(err.message));
  return new Promise((resolve, reject) => {
    const server = app.listen(0, '127.0.0.1', async () => {
      try {
        const res = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { authorization: `Bearer ${token}` } });
        resolve(res.ok ? '' : `${res.status} ${await res.text()}`);
      } catch (err) {
        reject(err);
      } finally {
        server.close();
      }
    });
  });
}

async function byFastify(token) {
  const app = Fastify();
  await app.register(fastifyJwtJwks, { jwksUrl: jwksUri, audience, issuer });
  app.get('/', { preValidation: app.authenticate }, async () => 'ok');
  const res = await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } });
  await app.close();
  return res.statusCode === 200 ? '' : `${res.statusCode} ${res.body}`;
}

async function byJsonwebtoken(token, alg) {
  const client = jwksRsa({ jwksUri });
  const { kid } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
  const key = (await client.getSigningKey(kid)).getPublicKey();
  jsonwebtoken.verify(token, key, { algorithms: [alg], audience, issuer });
}

const verifiers = {
  jose: (token, alg) => jwtVerify(token, createRemoteJWKSet(new URL(jwksUri)), { issuer, audience, algorithms: [alg] }).then(() => ''),
  'express-oauth2-jwt-bearer': (token, alg) => byExpress(auth({ issuerBaseURL: issuer, audience, tokenSigningAlg: alg }), token),
  'express-oauth2-jwt-bearer (strict)': (token, alg) => byExpress(auth({ issuerBaseURL: issuer, audience, tokenSigningAlg: alg, strict: true }), token),
  'jsonwebtoken': byJsonwebtoken,
  'express-jwt': (token, alg) =>
    byExpress(expressjwt({ secret: jwksRsa.expressJwtSecret({ jwksUri }), audience, issuer, algorithms: [alg] }), token),
  'fastify-jwt-jwks': byFastify,
};

for (const [name, verify] of Object.entries(verifiers)) {
  for (const { alg, typ, token } of tokens) {
    let error;
    try {
      error = (await verify(token, alg)) ?? '';
    } catch (err) {
      error = String(err.message ?? err);
    }
    const versions = { jsonwebtoken: `${version('jsonwebtoken')} with jwks-rsa ${version('jwks-rsa')}` };
    console.log(JSON.stringify({ verifier: name, version: versions[name] ?? version(name.split(' ')[0]), alg, typ, error }));
  }
}
process.exit(0);
