package doctor

import (
	"context"
	"slices"

	"github.com/grantor-auth/grantor/config"
)

// Check is one thing that is looked at. Its texts are the rows of docs/operate/doctor.md.
type Check struct {
	ID      string // stable
	Looks   string // what is looked at
	Fault   string // what is a fault; "": nothing
	Warning string // what is a warning; "": nothing

	applies func(cfg *config.Config) bool // nil: to every configuration
	needs   []string                      // keys of config.toml that must be sound
	answers bool                          // a check that takes too long is a fault: somebody does not answer
	run     func(ctx context.Context, s *subject) []Finding
}

// Checks returns all checks, in the order of a report.
func Checks() []Check {
	return slices.Concat(configChecks(), tlsChecks(), redisChecks(), issuerChecks(), keyChecks(), accessChecks(), nodeChecks())
}

func configChecks() []Check {
	return []Check{
		{ID: "config.file", Looks: "config.toml, its included files and the environment", Fault: "each mistake that `grantor config check` tells", run: checkFile},
		{ID: "config.warnings", Looks: "what a start warns of", Warning: "each warning", run: checkWarnings},
		{ID: "config.advice", Looks: "what could be safer", Warning: "each advice", run: checkAdvice},
		{ID: "tokens.not_before", Looks: "`[tokens] not_before`, by the clock of Redis", Fault: "it is in the future: every token is inactive until then",
			run: checkNotBefore},
		{ID: "limits.descriptors", Looks: "how many files a server from this shell may open, and how many connections each node holds",
			Warning: "fewer than 4,096 files, of which a listener takes four of five for connections", run: checkDescriptors},
	}
}

func tlsChecks() []Check {
	files := func(cfg *config.Config) bool { return cfg.TLS.Mode == "files" }
	return []Check{
		{ID: "tls.certificate", Looks: "`cert_file` and `key_file`", Fault: "a file cannot be read, or the key is not that of the certificate",
			applies: files, needs: []string{"tls.mode"}, run: checkPair},
		{ID: "tls.name", Looks: "the names in the certificate", Fault: "none is the host of `issuer` or of `mtls_url`",
			applies: files, needs: []string{"tls.mode", "issuer"}, run: checkNames},
		{ID: "tls.chain", Looks: "the certificates behind the first in `cert_file`", Fault: "the certificate is not for servers, or the next did not sign it",
			Warning: "an intermediate certificate seems to be missing", applies: files, needs: []string{"tls.mode"}, run: checkChain},
		{ID: "tls.expiry", Looks: "when the certificates in `cert_file` begin and end", Fault: "one has ended, or has not begun",
			Warning: "one ends within 30 days", applies: files, needs: []string{"tls.mode"}, run: checkExpiry},
		{ID: "tls.client_ca", Looks: "`client_ca_file`", Fault: "it cannot be read, or an authority has ended", Warning: "an authority ends within 30 days",
			applies: func(cfg *config.Config) bool { return cfg.TLS.ClientCAFile != "" }, needs: []string{"tls.mode"}, run: checkAuthorities},
	}
}

func redisChecks() []Check {
	needs := []string{"store", "redis"}
	mode := func(mode string) func(*config.Config) bool {
		return func(cfg *config.Config) bool { return onRedis(cfg) && cfg.Redis.Mode == mode }
	}
	return []Check{
		{ID: "redis.reachable", Looks: "whether Redis answers Grantor's user", Fault: "it does not: the network, TLS, the name, the password, the database",
			applies: onRedis, needs: needs, answers: true, run: checkReachable},
		{ID: "redis.role", Looks: "whether Redis is what `[redis] mode` says", Fault: "it is a replica, a Sentinel, a Cluster without `mode = \"cluster\"`, or is still loading",
			Warning: "it is older than 6.2", applies: onRedis, needs: needs, run: checkRole},
		{ID: "redis.cluster", Looks: "the slots of a Cluster", Fault: "some are not served", Warning: "a primary has no replica",
			applies: mode("cluster"), needs: needs, run: checkCluster},
		{ID: "redis.sentinels", Looks: "each Sentinel of `addrs`", Fault: "no majority of them names the primary", Warning: "one does not answer",
			applies: mode("sentinel"), needs: needs, run: checkSentinels},
		{ID: "redis.replicas", Looks: "the replicas, and `wait_replicas`", Fault: "fewer are in step than must confirm: revocations are answered 503",
			Warning: "one is not in step, or lags behind by five seconds; Sentinels have no replica to promote", applies: onRedis, needs: needs, run: checkReplicas},
		{ID: "redis.policy", Looks: "`maxmemory-policy`", Fault: "Redis would forget tokens when its memory is full", Warning: "it would, as soon as `maxmemory` is set",
			applies: onRedis, needs: needs, run: checkPolicy},
		{ID: "redis.persistence", Looks: "the append-only file and the last write to disk", Fault: "the last write to disk failed",
			Warning: "the append-only file is off", applies: onRedis, needs: needs, run: checkPersistence},
		{ID: "redis.rights", Looks: "the rights of Grantor's user of Redis (Redis 7 or newer)", Fault: "a command that Grantor runs, or a key of its prefix, is refused",
			applies: onRedis, needs: needs, run: checkRights},
		{ID: "redis.clock", Looks: "the clocks of Redis and of this machine", Fault: "they differ by a minute or more", Warning: "they differ by two seconds or more",
			applies: onRedis, needs: needs, run: checkClock},
		{ID: "redis.memory", Looks: "the memory in use, and by how much it grew in the last days", Fault: "98 % is in use, or the rest lasts less than three days",
			Warning: "90 % is in use, the rest lasts less than 30 days, or `maxmemory` is not set", applies: onRedis, needs: needs, run: checkMemory},
		{ID: "redis.certificate", Looks: "the certificate of `[redis] cert_file`", Fault: "it has ended", Warning: "it ends within 30 days",
			applies: func(cfg *config.Config) bool { return onRedis(cfg) && cfg.Redis.CertFile != "" }, needs: needs, run: checkRedisCertificate},
		{ID: "feed.enabled", Looks: "the revocation feed, beside nodes that serve", Warning: "it is not enabled: verifiers that follow are answered 503",
			applies: onRedis, needs: needs, run: checkFeed},
	}
}

func issuerChecks() []Check {
	needs := []string{"issuer", "tls.mode"}
	return []Check{
		{ID: "issuer.reachable", Looks: "the metadata at `issuer`, as clients ask for it", Fault: "the name, TLS or the answer is wrong, or nobody answers in time",
			Warning: "nobody listens there yet", needs: needs, answers: true, run: checkIssuer},
		{ID: "issuer.metadata", Looks: "`issuer` and the endpoints in the metadata", Fault: "they are not those of this configuration", needs: needs, run: checkMetadata},
		{ID: "issuer.mtls", Looks: "`mtls_url`, as clients with certificates ask it", Fault: "the name, TLS or the answer is wrong", Warning: "nobody listens there yet",
			applies: func(cfg *config.Config) bool { return cfg.TLS.MTLSURL != "" }, needs: needs, answers: true, run: checkMTLS},
		{ID: "issuers.keys", Looks: "the keys of each of `[[trusted_issuers]]`", Fault: "they cannot be fetched, or none can be used",
			applies: func(cfg *config.Config) bool { return len(cfg.Issuers) > 0 }, needs: []string{"issuer", "trusted_issuers"}, run: checkIssuers},
	}
}

func keyChecks() []Check {
	wanted := func(cfg *config.Config) bool { return onRedis(cfg) && cfg.Keys.EncryptionKey != "" }
	needs := []string{"store", "redis", "keys", "tokens.signing_alg"}
	return []Check{
		{ID: "keys.readable", Looks: "the signing keys in Redis", Fault: "`encryption_key` does not decrypt them", applies: wanted, needs: needs, run: checkKeys},
		{ID: "keys.schedule", Looks: "which key signs, and the next rotation", Fault: "an algorithm has no key although nodes serve",
			Warning: "a rotation is overdue", applies: wanted, needs: needs, run: checkSchedule},
		{ID: "keys.published", Looks: "the key set that the issuer serves", Fault: "it lacks a key that signs", Warning: "it lacks the key that signs next",
			applies: wanted, needs: append([]string{"issuer"}, needs...), run: checkPublished},
	}
}

func accessChecks() []Check {
	needs := []string{"store", "redis", "scopes", "clients", "tokens.audience_names"}
	withUsers := append([]string{"users", "grants"}, needs...)
	password := func(cfg *config.Config) bool { return cfg.Grants.Password || len(cfg.Users.Config) > 0 }
	return []Check{
		{ID: "scopes.readable", Looks: "who introspects the tokens of each scope", Warning: "no client can: an API that asks is told `active: false`", needs: needs, run: checkReaders},
		{ID: "scopes.granted", Looks: "who may have each scope", Warning: "no client may", needs: needs, run: checkGranted},
		{ID: "clients.grants", Looks: "whether a client can get a token at all", Warning: "none can", needs: needs, run: checkGrants},
		{ID: "clients.idle", Looks: "what each client can do", Warning: "nothing: it gets no token, has no scope for API keys, and introspects nothing", needs: needs, run: checkIdle},
		{ID: "clients.secrets", Looks: "when the last secret of each client ends", Warning: "it has ended, or ends within 14 days", needs: needs, run: checkSecrets},
		{ID: "users.login", Looks: "whether users can log in", Fault: "the password grant is on, and no client has it", Warning: "there are users, and the password grant is off",
			applies: password, needs: withUsers, run: checkLogin},
		{ID: "users.scope", Looks: "the scope of each user (of `\"config\"` and `\"redis\"`)", Warning: "it gives nothing, or nothing that a client with the password grant may have",
			applies: password, needs: withUsers, run: checkUserScopes},
		{ID: "users.directory", Looks: "the database of `[users.sql]`", Fault: "it does not answer, or refuses the query",
			applies: func(cfg *config.Config) bool { return cfg.Grants.Password && cfg.Users.Source == "sql" }, needs: []string{"users", "grants"}, run: checkDirectory},
	}
}

func nodeChecks() []Check {
	needs := []string{"store", "redis"}
	return []Check{
		{ID: "nodes.ready", Looks: "the nodes that serve", Warning: "one is not ready, or is silent", applies: onRedis, needs: needs, run: checkNodes},
		{ID: "nodes.configuration", Looks: "which configuration each node holds", Warning: "one holds another than this file",
			applies: onRedis, needs: needs, run: checkConfigurations},
	}
}
