package reference

import (
	"maps"
	"slices"
	"strings"
)

// cureOf says what to do about each message of level warn and error. Whoever adds a message adds
// it here.
func cureOf() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{redisLogs(), clientLogs(), nodeLogs(), middlewareLogs()} {
		maps.Copy(all, part)
	}
	return all
}

// computedLogs are messages that the code puts together, with the level.
func computedLogs() map[string]string {
	return map[string]string{
		"client epochs not confirmed; requests are refused":                 "error",
		"cannot read the client change stream; refusing registered clients": "error",
		"http1: panic while serving a request":                              "error",
		"http1: a connection could not be accepted":                         "error",
		"X-Forwarded-For ignored: the peer is not in trusted_proxies":       "warn",
		"a trusted proxy sends an invalid address in X-Forwarded-For":       "warn",
		"a trusted proxy sends X-Real-IP or Forwarded; both are ignored":    "warn",
		"the configuration is invalid; keeping the old configuration":       "error",
		"the new configuration cannot be applied; trying every 2 seconds":   "error",
	}
}

// computing are the functions that log messages which are no constants, with what they log.
var computing = map[string]string{ //nolint:gochecknoglobals // never changed
	"clients/poll.go":                      "computedLogs",
	"internal/http1/server.go":             "computedLogs",
	"server/forwarding_doubts.go":          "computedLogs",
	"internal/cli/reload.go":               "computedLogs, and the warnings of the configuration",
	"internal/cli/serve.go":                "the warnings of the configuration",
	"internal/cli/serve_test_endpoints.go": "the warnings of the configuration",
	"node/redis_watch.go":                  "the warnings of Redis",
	"node/stores.go":                       "the warnings of Redis",
}

func redisLogs() map[string]string {
	return map[string]string{
		"request rates of clients not shared; this node counts alone": "Look at Redis. Until it answers, a client may send its limit to each node.",
		"redis does not answer":                                                  "Look at Redis and the network. Grantor tries again by itself.",
		"redis may forget tokens and revocations":                                "Set `maxmemory-policy` to `noeviction`.",
		"redis: the promoted server has no replica yet":                          "Bring back a replica. Until then only one server has the writes.",
		"redis: too few replicas confirm writes":                                 "Bring back the replicas, or change `wait_replicas` or `wait_missing`.",
		"waiting for redis":                                                      "At a start: bring up Redis within 15 seconds, or start Grantor again.",
		"the store came back without its data":                                   "Restore clients and users from the backup. Check the persistence of Redis.",
		"the store has another server key; this node uses it":                    "Another node restored Redis first. Tokens of before have ended.",
		"the store lost the signing keys; a node restored them":                  "Nothing for the keys. Check the persistence of Redis.",
		"the server key cannot be confirmed":                                     "Look at Redis. Grantor tries again by itself.",
		"signing keys are not confirmed":                                         "Look at Redis. JWTs are refused until the keys are confirmed.",
		"making the first signing keys":                                          "At a start: look at Redis if the line comes again.",
		"the revocation feed cannot be read; it answers 503":                     "Look at Redis. If `error` says that the command may not run, give the user of Redis `+xread +xtrim`.",
		"the revocation feed is not enabled; it answers 503":                     "Run `grantor feed enable` when no node of an older version serves any more.",
		"configuration change not appended to the revocation feed; trying again": "Nothing, if it comes once. Else look at Redis.",
	}
}

func clientLogs() map[string]string {
	return map[string]string{
		"a session was ended": "`reason` says why: [reuse](http.md#reason-refresh_token_reused) or [a lost rotation](http.md#reason-refresh_rotation_lost).",
		"suspicious retry of a refresh: from another network, or late":           "Nothing, if it is rare: a phone changed networks. Often for one session: end the session.",
		"sessions beyond sessions_per_user may not have ended":                   "Nothing: the login counts, and the next login of this user ends them. Look at Redis if it goes on.",
		"a client's last secret expired or expires within 14 days":               "Make a new secret with `grantor client rotate-secret`.",
		"a failed client authentication could not be counted":                    "Look at Redis.",
		"the SHA-256 of a client's secret could not be stored":                   "Nothing: the request went on, and a later use stores it. Look at Redis if it goes on.",
		"a configured client replaces a registered client, revoking its tokens":  "Delete the registered client, or give one of them another id.",
		"revocation for replaced clients: too few replicas confirmed it":         "Bring back the replicas.",
		"revocation after a configuration change: too few replicas confirmed it": "Bring back the replicas.",
		"registered keys that cannot be used are passed over":                    "Register keys of a supported type: RSA of 2048 bits, P-256, P-384, P-521, Ed25519.",
		"published keys that cannot be used are passed over":                     "Tell the owner of the key set, if a client needs the keys.",
		"last uses of clients not stored; trying again":                          "Nothing, if it comes once. Else look at Redis.",
		"last uses of API keys not stored; trying again":                         "Nothing, if it comes once. Else look at Redis.",
		"editions of configured clients not stored; trying again":                "Nothing, if it comes once. Else look at Redis.",
		"lifetime of client epochs not renewed; trying again":                    "Nothing, if it comes once. Else look at Redis.",
		"client epochs not confirmed; requests are refused":                      "Look at Redis.",
		"cannot read the client change stream; refusing registered clients":      "Look at Redis.",
		"no client can introspect the tokens of a scope":                         "Do what `cure` says. Until then no API can check such a token by introspection.",
	}
}

func nodeLogs() map[string]string {
	return map[string]string{
		"request":                             "The answer was 5xx. Look up [the reason](http.md#what-does-this-reason-mean); `error` has the cause.",
		"an audit event could not be written": "Look at the disk, or at Redis. The event is lost.",
		"cannot reopen the audit file; writing to the old file":           "Give Grantor's user the right to write the new file, then send `SIGHUP` again.",
		"background task ended":                                           "A fault of Grantor: report the line. The task starts again by itself.",
		"these keys take effect at the next start":                        "Restart the node, if the change is meant.",
		"the configuration is invalid; keeping the old configuration":     "Correct the file: `error` names line and key.",
		"the new configuration cannot be applied; trying every 2 seconds": "Look at what `error` names, mostly Redis or the database of `[users.sql]`.",
		"spans could not be sent and are lost":                            "Look at the collector of `[tracing] otlp_endpoint`. Requests are not affected. The line comes at once, then every five minutes while spans are lost.",
		"the last spans were not sent before the stop":                    "Look at the collector. A stop waits five seconds for it.",
		"the tracing library reports a fault":                             "Look at `error`, mostly an `OTEL_` variable that is malformed.",
		"systemd cannot be told":                                          "Look at `NOTIFY_SOCKET` and at the rights of the socket. Grantor serves all the same, but with `Type=notify` systemd ends a start that is not told of.",
		"no sign of life for systemd: health check failed":                "A fault of Grantor: report the line. systemd starts Grantor again when `WatchdogSec` has passed.",
		"no file change events; reading the files every 10 seconds":       "Nothing. Changes take up to ten seconds.",
		"names in the configuration not stored yet; trying again":         "Nothing, if it comes once. Else look at Redis.",
		"X-Forwarded-For ignored: the peer is not in trusted_proxies":     "If the peer is your proxy, add its address to `trusted_proxies`.",
		"a trusted proxy sends an invalid address in X-Forwarded-For":     "Let the proxy append the address of its peer.",
		"a trusted proxy sends X-Real-IP or Forwarded; both are ignored":  "Let the proxy append to `X-Forwarded-For`.",
		"http1: panic while serving a request":                            "A fault of Grantor: report the line.",
		"http1: a connection could not be accepted":                       "Raise the limit of open files, if `error` says so.",
		"test endpoints are open: whoever reaches them makes tokens":      "Never run `serve --trial --test` for others.",
		"a test server does not use these keys":                           "Nothing.",
		"the console refused a request":                                   "Of an operator: `problem` says what to do. Else another page or program sent it, and it had no effect.",
		"a page of the console failed":                                    "Look at Redis: `error` has the cause.",
	}
}

func middlewareLogs() map[string]string {
	return map[string]string{
		"a check cannot be answered":                                       "Of the gate: `error` has the cause, mostly Grantor that does not answer.",
		"claims of a token cannot be sent":                                 "Of the gate: `error` has the size. Name fewer claims by `--claims`.",
		"an identity token could not be signed":                            "Of the gate: look at the key of `--identity jwt`.",
		"not ready":                                                        "Of the gate: Grantor cannot be asked. Check `--issuer` and the network.",
		"the proxy's demand is invalid; its checks are answered 500":       "Of the gate: correct the query in the proxy's configuration.",
		"the proxy's metadata is invalid; it is answered 500":              "Of the gate: correct the query of `/metadata` in the proxy's configuration.",
		"cannot read the renewed certificate; keeping the old certificate": "Of the gate: correct the file before the old certificate expires.",
		"tokens cannot be verified yet; checks are answered 503":           "Of the gate: check `--issuer`, and the client's id and secret.",
		"a token could not be verified":                                    "Of an API: Grantor did not answer. The API answers 503.",
		"an API key was refused for where it came from":                    "Of an API or gate: `error` has the key's id, its client, and the address. If the address is a proxy's, name the trusted proxies. Else the key may have leaked.",
		"a DPoP proof was refused":                                         "Of an API or gate: [`reason`](http.md#a-dpop-proof-was-refused) says why. Somebody may use a stolen token or a copied proof.",
		"a token bound to a key cannot be checked":                         "Of an API or gate: set `Config.DPoP.URL`, or `--dpop-url`, to the URL that clients use.",
		"a token bound to a certificate cannot be checked":                 "Of a gate: set `--client-cert-header` to the header in which the proxy writes the client's certificate.",
		"whether a DPoP proof was used is unknown":                         "Of an API: the shared memory of used proofs does not answer. The API answers 503.",
		"a client certificate cannot be read":                              "Of an API or gate: `error` says what is wrong with the proxy's header. Use the recipe for the proxy.",
		"route has no Authenticate before its requirement":                 "Of an API: put `Authenticate` before `RequireAll` on the route.",
		"the revocation feed cannot be read":                               "Of an API or gate: Grantor did not answer a poll. The verifier asks about each token meanwhile.",
		"the revocation feed: a poll panicked":                             "A fault of package middleware: report the line.",
	}
}

// logTables writes the messages, errors first, and names those without an explanation.
func (s *Source) logTables() (out string, complaints []string) {
	lines, computed := s.logLines()
	for _, at := range computed {
		if file, _, _ := strings.Cut(at, ":"); computing[file] == "" {
			complaints = append(complaints, at+": the message is no constant; make it one, or add it to test/reference/logs.go")
		}
	}
	lines = append(lines, logLine{message: "request", level: "error", fields: []string{"request_id", "method", "route", "status", "took_ms", "peer", "client_id", "reason", "error"}})
	for message, level := range computedLogs() {
		lines = append(lines, logLine{message: message, level: level})
		if !s.says(message) {
			complaints = append(complaints, "test/reference/logs.go: no code says "+message)
		}
	}
	cures := cureOf()
	var rows [][]string
	for _, l := range lines {
		if cures[l.message] == "" {
			complaints = append(complaints, l.at+": the message \""+l.message+"\" says nobody what to do: add it to test/reference/logs.go")
		}
		rows = append(rows, []string{l.level, l.message, fieldsOf(l), cures[l.message]})
		delete(cures, l.message)
	}
	for message := range cures {
		complaints = append(complaints, "test/reference/logs.go: no code logs \""+message+"\" any more")
	}
	slices.SortFunc(rows, func(a, b []string) int {
		return strings.Compare(a[0]+strings.ToLower(a[1]), b[0]+strings.ToLower(b[1]))
	})
	slices.Sort(complaints)
	return table([]string{"level", "message", "fields", "what to do"}, rows), complaints
}

func fieldsOf(l logLine) string {
	var list []string
	for _, f := range l.fields {
		list = append(list, quoted(f))
	}
	return strings.Join(list, ", ")
}
