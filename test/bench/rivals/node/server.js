// oidc-provider with client_credentials, introspection and revocation, tokens in Redis in the way of its documented adapter.
import Redis from "ioredis";
import Provider from "oidc-provider";

const redis = new Redis(process.env.REDIS_URL, { keyPrefix: "oidc:" });

class Adapter {
  constructor(name) { this.name = name; }
  key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload, expiresIn) {
    await redis.set(this.key(id), JSON.stringify(payload), "EX", expiresIn || 900);
  }
  async find(id) {
    const text = await redis.get(this.key(id));
    return text ? JSON.parse(text) : undefined;
  }
  async destroy(id) { await redis.del(this.key(id)); }
  async consume(id) {
    const payload = await this.find(id);
    if (payload) await this.upsert(id, { ...payload, consumed: Math.floor(Date.now() / 1000) }, 900);
  }
  async findByUserCode() {}
  async findByUid() {}
  async revokeByGrantId() {}
}

const client = (id, secret, grants) => ({
  client_id: id, client_secret: secret, grant_types: grants, redirect_uris: [], response_types: [], scope: "orders:read",
  token_endpoint_auth_method: "client_secret_basic",
});

const provider = new Provider(`http://127.0.0.1:${process.env.PORT}`, {
  adapter: Adapter,
  clients: [
    client("bench-machine", "gcs_bench-machine-secret-of-no-value", ["client_credentials"]),
    client("bench-api", "gcs_bench-api-secret-of-no-value", ["client_credentials"]),
  ],
  scopes: ["openid", "orders:read"],
  ttl: { ClientCredentials: 900 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
  },
});

provider.listen(Number(process.env.PORT), "127.0.0.1");
