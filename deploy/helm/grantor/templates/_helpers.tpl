{{- define "grantor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "grantor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "grantor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "grantor.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "grantor.selector" -}}
app.kubernetes.io/name: {{ include "grantor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "grantor.testSelector" -}}
app.kubernetes.io/name: {{ include "grantor.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "grantor.labels" -}}
{{ include "grantor.selector" . }}
{{ include "grantor.moreLabels" . }}
{{- end -}}

{{- define "grantor.moreLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "grantor.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "grantor.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "grantor.secret" -}}
{{- default (include "grantor.fullname" .) .Values.secret.existing -}}
{{- end -}}

{{- define "grantor.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "grantor.pods" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.minReplicas }}{{ else }}{{ .Values.replicas }}{{ end -}}
{{- end -}}

{{- define "grantor.hasRedisPassword" -}}
{{- if ne .Values.redis.mode "single" -}}
{{- if or (and .Values.secret.existing .Values.secret.redisPasswordKey) (and (not .Values.secret.existing) .Values.redis.password) }}true{{ end -}}
{{- end -}}
{{- end -}}

{{/* The part of config.toml that the chart writes. Pods restart when it changes; the rest they reload. */}}
{{- define "grantor.config" -}}
issuer = {{ toJson .Values.issuer }}
listen = ":{{ include "grantor.port" . }}"
store = "redis"
trusted_proxies = {{ toJson .Values.trustedProxies }}
{{- if or .Values.config .Values.extraConfig }}
include = ["/etc/grantor.d/*/*.toml"]
{{- end }}

[tls]
mode = {{ toJson .Values.tls.mode }}
{{- if eq .Values.tls.mode "files" }}
cert_file = "/run/secrets/grantor-tls/tls.crt"
key_file = "/run/secrets/grantor-tls/tls.key"
{{- end }}

[server]
shutdown_delay = "{{ int .Values.server.shutdownDelay }}s"
shutdown_timeout = "{{ int .Values.server.shutdownTimeout }}s"

[redis]
{{- with .Values.redis }}
mode = {{ toJson .mode }}
{{- if eq .mode "single" }}
url_file = "/run/secrets/grantor/redis-url"
{{- else }}
addrs = {{ toJson .addrs }}
{{- if eq .mode "sentinel" }}
master = {{ toJson .master }}
{{- end }}
{{- if .username }}
username = {{ toJson .username }}
{{- end }}
{{- if include "grantor.hasRedisPassword" $ }}
password_file = "/run/secrets/grantor/redis-password"
{{- end }}
{{- if and (eq .mode "sentinel") $.Values.secret.existing $.Values.secret.sentinelPasswordKey }}
sentinel_password_file = "/run/secrets/grantor/sentinel-password"
{{- end }}
tls = {{ .tls }}
{{- end }}
{{- if .caSecretName }}
ca_file = "/run/secrets/grantor-redis-ca/ca.crt"
{{- end }}
wait_replicas = {{ int .waitReplicas }}
{{- end }}

[keys]
encryption_key_file = "/run/secrets/grantor/keys"
{{- if .Values.metrics.enabled }}

[metrics]
listen = ":9090"
hosts = {{ toJson (list (printf "%s-metrics" (include "grantor.fullname" .)) (printf "%s-metrics.%s.svc" (include "grantor.fullname" .) .Release.Namespace)) }}
{{- end }}
{{- if .Values.admin.enabled }}

[admin]
listen = ":8090"
{{- if .Values.admin.url }}
url = {{ toJson .Values.admin.url }}
{{- end }}
{{- end }}
{{ end -}}

{{- define "grantor.port" -}}
{{- if eq .Values.tls.mode "files" }}8443{{ else }}8080{{ end -}}
{{- end -}}

{{/* What no schema can say well: values that need each other. */}}
{{- define "grantor.check" -}}
{{- if not .Values.issuer }}
{{- fail "issuer is not set: it is the https URL of this server for clients, such as https://auth.example.com" }}
{{- end }}
{{- if and (eq .Values.redis.mode "single") (not .Values.redis.url) (not .Values.secret.existing) }}
{{- fail "redis.url is not set: say where Redis is, such as redis://redis:6379, or name a Secret in secret.existing that has the URL" }}
{{- end }}
{{- if and (ne .Values.redis.mode "single") (not .Values.redis.addrs) }}
{{- fail (printf "redis.addrs is not set: redis.mode %s needs the addresses, such as [\"redis-0.redis:26379\"]" .Values.redis.mode) }}
{{- end }}
{{- if and (ne .Values.redis.mode "single") .Values.redis.url }}
{{- fail (printf "redis.url is for redis.mode single alone: redis.mode %s has redis.addrs" .Values.redis.mode) }}
{{- end }}
{{- if and (eq .Values.redis.mode "sentinel") (not .Values.redis.master) }}
{{- fail "redis.master is not set: redis.mode sentinel needs the name of the primary, such as mymaster" }}
{{- end }}
{{- if and .Values.secret.existing (or .Values.redis.url .Values.redis.password) }}
{{- fail "redis.url and redis.password are for the Secret of the chart: write them into the Secret that secret.existing names, and leave them out here" }}
{{- end }}
{{- if and (eq .Values.tls.mode "files") (not .Values.tls.secretName) }}
{{- fail "tls.secretName is not set: tls.mode files needs a Secret with tls.crt and tls.key" }}
{{- end }}
{{- if and (eq .Values.tls.mode "proxy") .Values.tls.secretName }}
{{- fail "tls.secretName is for tls.mode files alone: with tls.mode proxy name the certificate in ingress.tlsSecretName" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "metrics.serviceMonitor.enabled needs metrics.enabled" }}
{{- end }}
{{- end -}}

{{/* Which keys of the Secret are which files. */}}
{{- define "grantor.secretItems" -}}
{{- $own := not .Values.secret.existing -}}
- { key: {{ $own | ternary "keys" .Values.secret.encryptionKeyKey }}, path: keys }
{{- if eq .Values.redis.mode "single" }}
- { key: {{ $own | ternary "redis-url" .Values.secret.redisUrlKey }}, path: redis-url }
{{- end }}
{{- if include "grantor.hasRedisPassword" . }}
- { key: {{ $own | ternary "redis-password" .Values.secret.redisPasswordKey }}, path: redis-password }
{{- end }}
{{- if and (eq .Values.redis.mode "sentinel") (not $own) .Values.secret.sentinelPasswordKey }}
- { key: {{ .Values.secret.sentinelPasswordKey }}, path: sentinel-password }
{{- end }}
{{- end -}}
