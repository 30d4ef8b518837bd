package main

// sets are values that users have, by what is special about them.
func sets() map[string]string {
	return map[string]string{
		"the two values without a default": `
issuer: https://auth.example.com
redis: { url: "redis://redis:6379" }
`,
		"everything on": `
issuer: https://auth.example.com
trustedProxies: ["10.20.0.0/16", "fd00::/8"]
config: |
  [scopes]
  "orders:read" = { description = "Read orders", resource = "https://orders.example.com" }
  [tokens]
  access_token_format = "jwt"
  [admin.console]
  enabled = true
configKind: Secret
extraConfig: [{ secret: clients }, { configMap: more }]
redis: { url: "rediss://redis:6379", caSecretName: redis-ca, waitReplicas: 2 }
metrics: { serviceMonitor: { enabled: true, labels: { release: prometheus } } }
admin: { enabled: true, url: "https://grantor-admin.example.com" }
image: { repository: registry.example.com/grantor, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", pullPolicy: Always }
imagePullSecrets: [{ name: registry }]
autoscaling: { enabled: true, minReplicas: 3, maxReplicas: 12 }
podDisruptionBudget: { maxUnavailable: "34%" }
spread: hard
service: { type: LoadBalancer, annotations: { "service.example.com/internal": "true" } }
ingress: { enabled: true, className: nginx, annotations: { "nginx.ingress.kubernetes.io/proxy-body-size": 64k }, tlsSecretName: auth-tls }
networkPolicy:
  public: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": ingress-nginx } } }]
  metrics: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": monitoring } } }]
  egress: [{ ports: [{ protocol: TCP, port: 6379 }] }]
serviceAccount: { annotations: { "iam.example.com/role": grantor }, mountToken: true }
podAnnotations: { "example.com/team": auth }
podLabels: { "example.com/tier": front }
nodeSelector: { "kubernetes.io/os": linux }
tolerations: [{ key: dedicated, operator: Exists, effect: NoSchedule }]
priorityClassName: system-cluster-critical
env: [{ name: GRANTOR_LOG__LEVEL, value: debug }]
volumes: [{ name: spare, emptyDir: {} }]
volumeMounts: [{ name: spare, mountPath: /spare }]
fullnameOverride: auth-server
`,
		"a Secret that exists": `
issuer: https://auth.example.com
secret: { existing: own, redisUrlKey: url, encryptionKeyKey: encryption_key }
`,
		"a single pod": `
issuer: https://auth.example.com
redis: { url: "redis://redis:6379", waitReplicas: 0 }
replicas: 1
`,
		"no metrics, no policies": `
issuer: https://auth.example.com
redis: { url: "redis://redis:6379" }
metrics: { enabled: false }
networkPolicy: { enabled: false }
podDisruptionBudget: { enabled: false }
serviceAccount: { create: false }
`,
		"Grantor serves TLS": `
issuer: https://auth.example.com
redis: { url: "redis://redis:6379" }
tls: { mode: files, secretName: auth-tls }
metrics: { serviceMonitor: { enabled: true } }
ingress: { enabled: true }
`,
		"Sentinel with passwords": `
issuer: https://auth.example.com
redis: { mode: sentinel, addrs: ["s-0:26379", "s-1:26379"], master: mymaster, username: grantor, tls: true }
secret: { existing: own, redisPasswordKey: redis, sentinelPasswordKey: sentinel }
`,
		"Cluster with a password": `
issuer: https://auth.example.com
redis: { mode: cluster, addrs: ["c-0:6379", "c-1:6379", "c-2:6379"], password: 'p"ss word' }
`,
		"a long time to stop, an issuer with a path": `
issuer: https://example.com/auth
redis: { url: "redis://redis:6379" }
server: { shutdownDelay: 20, shutdownTimeout: 90 }
ingress: { enabled: true }
admin: { enabled: true }
`,
	}
}

// mistakes are values that the chart refuses, with a part of what it says.
func mistakes() map[string]string {
	const sound = "issuer: https://auth.example.com\nredis: { url: 'redis://redis:6379' }\n"
	return map[string]string{
		"redis: { url: 'redis://redis:6379' }":                                                        "issuer is not set: it is the https URL of this server for clients, such as https://auth.example.com",
		"issuer: https://auth.example.com":                                                            "redis.url is not set: say where Redis is, such as redis://redis:6379, or name a Secret in secret.existing",
		"issuer: http://auth.example.com\nredis: { url: 'redis://r:6379' }":                           "'/issuer': 'http://auth.example.com' does not match pattern",
		"issuer: https://auth.example.com/\nredis: { url: 'redis://r:6379' }":                         "'/issuer'",
		"issuer: https://auth.example.com\nredis: { url: 'http://r:6379' }":                           "'/redis/url'",
		"issuer: https://a.example.com\nredis: { mode: cluster }":                                     "redis.addrs is not set: redis.mode cluster needs the addresses",
		"issuer: https://a.example.com\nredis: { mode: sentinel, addrs: ['s:1'] }":                    "redis.master is not set: redis.mode sentinel needs the name of the primary",
		"issuer: https://a.example.com\nredis: { mode: ring }":                                        "'/redis/mode': value must be one of 'single', 'sentinel', 'cluster'",
		"issuer: https://a.example.com\nredis: { mode: cluster, addrs: ['c:1'], url: 'redis://r:1' }": "redis.url is for redis.mode single alone",
		sound + "secret: { existing: own }":                                                           "write them into the Secret that secret.existing names, and leave them out here",
		sound + "tls: { mode: files }":                                                                "tls.secretName is not set: tls.mode files needs a Secret with tls.crt and tls.key",
		sound + "tls: { secretName: auth-tls }":                                                       "with tls.mode proxy name the certificate in ingress.tlsSecretName",
		sound + "tls: { mode: none }":                                                                 "'/tls/mode': value must be one of 'proxy', 'files'",
		sound + "autoscaling: { enabled: true, minReplicas: 5, maxReplicas: 4 }":                      "autoscaling.minReplicas is greater than autoscaling.maxReplicas",
		sound + "metrics: { enabled: false, serviceMonitor: { enabled: true } }":                      "metrics.serviceMonitor.enabled needs metrics.enabled",
		sound + "replicaCount: 3":                                                                     "additional properties 'replicaCount' not allowed",
		sound + "networkPolicy: { ingress: [] }":                                                      "'/networkPolicy': additional properties 'ingress' not allowed",
		sound + "replicas: 0":                                                                         "'/replicas': minimum: got 0, want 1",
		sound + "replicas: two":                                                                       "'/replicas': got string, want integer",
		sound + "trustedProxies: 10.0.0.0/8":                                                          "'/trustedProxies': got string, want array",
		sound + "trustedProxies: [ingress]":                                                           "'/trustedProxies/0'",
		sound + "image: { digest: latest }":                                                           "'/image/digest'",
		sound + "extraConfig: [{ secret: a, configMap: b }]":                                          "'/extraConfig/0'",
		sound + "admin: { url: 'http://admin.example.com' }":                                          "'/admin/url'",
		sound + "spread: loose":                                                                       "'/spread': value must be one of 'soft', 'hard'",
	}
}
