package reference

import (
	"maps"
	"slices"
	"strings"
)

// normalOf says what is normal of each metric, and what to do else. Whoever adds a metric adds it
// here.
func normalOf() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{requestMetrics(), redisMetrics(), nodeMetrics(), gateMetrics()} {
		maps.Copy(all, part)
	}
	return all
}

func requestMetrics() map[string]string {
	return map[string]string{
		"grantor_http_requests_total":              "Mostly 200. Codes 400 and 401 come from clients, 503 from Redis or overload.",
		"grantor_http_request_duration_seconds":    "Introspection below 5 ms at the 99th percentile. A login takes as long as one password hash. Above a second look at `grantor_store_duration_seconds`.",
		"grantor_tokens_issued_total":              "As many as clients ask for. A client that asks for each call keeps no token: compare with `expires_in`.",
		"grantor_refusals_total":                   "Few. Look up the `reason` in [What does this reason mean](http.md#what-does-this-reason-mean).",
		"grantor_client_requests_total":            "Only of clients in `[metrics] per_client`. As steady as the client. Requests that only name the client are among them.",
		"grantor_client_refusals_total":            "Only of clients in `[metrics] per_client`. Few, as `grantor_refusals_total`.",
		"grantor_introspections_total":             "`result` is `active` or `inactive`. Inactive ones are expired tokens, mostly. A sudden rise means that somebody tries invented tokens, or that many tokens were revoked.",
		"grantor_revocations_total":                "`result` is `ended` or `nothing`. Logouts of sessions that are over already count as `nothing`.",
		"grantor_refreshes_total":                  "`rotated` nearly always, and some `retried` of phones. `reuse` and `rotation_lost` are 0: each is an alert.",
		"grantor_login_failures_total":             "A few percent of logins. Five times the usual rate raises an alert: somebody tries passwords.",
		"grantor_published_keys_passed_over_total": "`other_use` grows when a SPIFFE bundle rotates keys for X.509-SVIDs. `unusable` is 0: else read the log line `published keys that cannot be used are passed over`.",
		"grantor_feed_polls_total":                 "Four in each lease for each verifier, mostly `idle`. `reset` is 0, but after Redis lost data. `unavailable` is 0.",
		"grantor_feed_polls_held":                  "One for each verifier that follows. Near 10,000 add a node.",
		"grantor_feed_up":                          "1. 0 raises an alert: verifiers ask for each token.",
		"grantor_feed_read_age_seconds":            "Below `[feed] lease`, or 0 while nobody follows.",
		"grantor_feed_reads_total":                 "Eight in each lease while somebody follows.",
		"grantor_feed_cold_reads_total":            "Some when verifiers start.",
		"grantor_feed_entries":                     "As many as ended in the last 24 hours.",
		"grantor_http1_requests_total":             "Nearly all requests of the public listener.",
		"grantor_http1_handed_on_total":            "Few, unless clients or the proxy speak HTTP/2 or send unusual headers. Each costs about twice the CPU.",
		"grantor_http1_idle_closed_total":          "0. Else more connections are open than the node may hold: raise the limit of open files.",
	}
}

func redisMetrics() map[string]string {
	return map[string]string{
		"grantor_redis_up":                          "1. 0 raises an alert: requests that need Redis are answered 503.",
		"grantor_redis_breaker_open":                "0. Else as many primaries do not answer.",
		"grantor_redis_replicas_wanted":             "The value of `wait_replicas`, or 0 where Redis never had a replica.",
		"grantor_redis_replicas_seen":               "At least `grantor_redis_replicas_wanted`. Fewer raise an alert.",
		"grantor_redis_primary_proven":              "1. 0 raises an alert: this node may be cut off with an old primary, and answers 503.",
		"grantor_redis_connections":                 "A few for each primary.",
		"grantor_redis_pipelines_total":             "Rises with the load. With `grantor_redis_pipelined_commands_total` it says how many commands share a pipeline.",
		"grantor_redis_pipelined_commands_total":    "Rises with the load.",
		"grantor_redis_refused_commands_total":      "0. Else too many requests wait for Redis: it needs a faster server or a Cluster.",
		"grantor_redis_evicts":                      "0. 1 raises an alert: set `maxmemory-policy` to `noeviction`.",
		"grantor_redis_data_lost_total":             "0. A rise raises an alert: Redis came back empty, and all tokens have ended.",
		"grantor_redis_unconfirmed_writes_total":    "0. A rise raises an alert: too few replicas confirm.",
		"grantor_writes_accepted_unconfirmed_total": "0. A rise raises an alert: a failover could undo logins and refreshes.",
		"grantor_pending_revocations":               "0. Else revocations were answered 503, and the node repeats them each second.",
		"grantor_store_duration_seconds":            "Below 1 ms at the median, with Redis in the same network.",
		"grantor_store_errors_total":                "0. More than one in ten seconds raises an alert.",
		"grantor_registry_feed_up":                  "1. 0 raises an alert: clients of Redis are refused.",
		"grantor_request_rates_shared":              "1. 0: each node counts the requests of a client alone until Redis answers.",
		"grantor_registry_clients_cached":           "As many as clients registered in Redis asked lately.",
		"grantor_registry_lookups_total":            "Mostly `hit`. Many `unknown` mean that somebody tries client ids.",
	}
}

func nodeMetrics() map[string]string {
	return map[string]string{
		"grantor_password_checks_total":                     "One for each login that is not refused before.",
		"grantor_password_slots":                            "As many as there are CPUs.",
		"grantor_password_slots_busy":                       "Below `grantor_password_slots`. All busy for five minutes raises an alert.",
		"grantor_client_secrets_expiring":                   "0. Else rotate the secrets of the clients that the log names. `within` is `0d` (expired), `7d`, `14d` or `30d`, and each counts those before it.",
		"grantor_client_secret_not_after_timestamp_seconds": "In the future. Absent where no secret of a client ends.",
		"grantor_certificate_not_after_timestamp_seconds":   "14 days ahead or more, else an alert is raised. `use` is `server` or `client_ca`, each only where there is one.",
		"grantor_signing_key_not_before_timestamp_seconds":  "Not longer ago than `grantor_signing_key_rotation_seconds`. Of each `alg`, where JWTs are signed.",
		"grantor_signing_key_not_after_timestamp_seconds":   "In the future. Absent where no rotation is planned.",
		"grantor_signing_key_rotation_seconds":              "The value of `[keys] rotate_every`; 0 where keys are rotated by command.",
		"grantor_audit_events_total":                        "As many as tokens are issued and refused.",
		"grantor_audit_dropped_total":                       "0. A rise raises an alert: the trail has gaps.",
		"grantor_background_task_up":                        "1 for each task.",
		"grantor_background_task_failures_total":            "0. A rise raises an alert. It is a fault of Grantor: report the log line.",
		"grantor_config_reload_success":                     "1. 0 raises an alert: the file is invalid, and the old configuration is in force.",
		"grantor_config_reload_timestamp_seconds":           "The time of the last change.",
		"grantor_build_info":                                "1. During an upgrade there are two versions.",
	}
}

func gateMetrics() map[string]string {
	return map[string]string{
		"grantor_gate_checks_total":              "Mostly 200 and 401. 500 is a wrong recipe of the proxy, 503 a Grantor that does not answer.",
		"grantor_gate_check_duration_seconds":    "Below 1 ms while `grantor_gate_feed_fresh` is 1.",
		"grantor_gate_answers_from_memory_total": "Nearly all checks, with `--live`.",
		"grantor_gate_questions_total":           "One for each new token, with `--live`; else one for each check.",
		"grantor_gate_feed_fresh":                "1, with `--live`.",
		"grantor_gate_feed_age_seconds":          "Below the lease.",
		"grantor_gate_feed_ended_names":          "As many as ended in the last 24 hours.",
		"grantor_gate_feed_polls_total":          "Four in each lease.",
		"grantor_gate_feed_poll_failures_total":  "0.",
		"grantor_gate_feed_resets_total":         "0, but after Redis lost data.",
	}
}

// metricGroup is one table of metrics.
type metricGroup struct {
	title, intro string
	names        []string
}

// metricGroups are the tables of metrics, in the order of the page.
func metricGroups() []metricGroup {
	group := func(title, intro string, part map[string]string) metricGroup {
		return metricGroup{title, intro, slices.Sorted(maps.Keys(part))}
	}
	return []metricGroup{
		group("Requests, tokens and the revocation feed", "", requestMetrics()),
		group("Redis and the registry of clients", "These exist with `store = \"redis\"`, but for `grantor_store_…` and `grantor_registry_feed_up`.", redisMetrics()),
		group("The node", "", nodeMetrics()),
		group("The gate", "`grantor gate` has these, and `grantor_build_info`.", gateMetrics()),
	}
}

// metricTables writes the tables, and names metrics without an explanation.
func (s *Source) metricTables() (out string, complaints []string) {
	normal, byName := normalOf(), map[string]metric{}
	for _, m := range s.metrics() {
		byName[m.name] = m
		if normal[m.name] == "" {
			complaints = append(complaints, "the metric "+m.name+" does not say what is normal: add it to test/reference/metrics.go")
		}
	}
	var b strings.Builder
	for _, g := range metricGroups() {
		b.WriteString("### " + g.title + "\n\n")
		if g.intro != "" {
			b.WriteString(g.intro + "\n\n")
		}
		var rows [][]string
		for _, name := range g.names {
			m, ok := byName[name]
			if !ok {
				complaints = append(complaints, "test/reference/metrics.go: no code registers "+name+": strike it")
			}
			rows = append(rows, []string{anchor("metric", name) + quoted(name), m.kind, unitOf(name), labelsOf(m), m.help, normal[name]})
		}
		b.WriteString(table([]string{"metric", "type", "unit", "labels", "meaning", "normal"}, rows) + "\n")
	}
	return b.String(), complaints
}

func unitOf(name string) string {
	if strings.HasSuffix(name, "_seconds") {
		return "seconds"
	}
	return ""
}

func labelsOf(m metric) string {
	labels := m.labels
	switch m.name {
	case "grantor_gate_checks_total": // prometheus.NewCounterVec is given them
		labels = []string{"code"}
	}
	var list []string
	for _, l := range labels {
		list = append(list, quoted(l))
	}
	return strings.Join(list, ", ")
}
