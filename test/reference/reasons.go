package reference

import "slices"

// reason is a value of the member reason in log lines and trail events, and of the label reason of
// grantor_refusals_total. answer is given only where the scan of the code finds none.
type reason struct{ name, answer, cause, cure string }

// reasonGroup is one table of docs/reference/http.md.
type reasonGroup struct {
	title, intro string
	reasons      []reason
}

// reasonGroups explain every reason that Grantor can log, count or record. Whoever adds a reason
// adds it here: what happened, then what to do.
func reasonGroups() []reasonGroup {
	return []reasonGroup{
		{"The client did not prove who it is", "The client reads `invalid_client` and no more, so that nobody can probe for client ids.", clientReasons()},
		{"An assertion of a client was refused", "Of clients with `private_key_jwt`, and of workloads that show a platform's JWT.", assertionReasons()},
		{"A DPoP proof was refused", "The answer says which of these it is: nothing in it helps a thief. Of the server, of APIs behind package middleware, and of the gate.", proofReasons()},
		{"A login was refused", "The app reads `invalid_grant` with the same sentence for each of these, so that nobody can probe for user names.", loginReasons()},
		{"A refresh was refused", "The app reads `invalid_grant` and asks the user to log in again.", refreshReasons()},
		{"A token was not exchanged", "The client reads `invalid_request`, and the same sentence whether the token is inactive or not allowed: who holds a stolen token learns nothing of it. With the JWT bearer grant the client reads `invalid_grant`.", exchangeReasons()},
		{"An introspected token is not active", "The answer is 200 with `{\"active\":false}` and no more. Reasons of other tables occur here as well: " +
			"[the whole list](../operate/runbooks.md#why-is-this-token-inactive).", inactiveReasons()},
		{"Too many requests", "Wait as long as `Retry-After` says.", limitReasons()},
		{"The store, the user directory or the feed could not answer", "The answer is 503. It is neither a yes nor a no: repeat the request after `Retry-After` seconds.", slices.Concat(outageReasons(), dependencyReasons())},
		{"The request cannot be allowed, or Grantor failed", "", otherReasons()},
	}
}

// reasons returns all of them.
func reasons() (list []reason) {
	for _, g := range reasonGroups() {
		list = append(list, g.reasons...)
	}
	return list
}

func clientReasons() []reason {
	return []reason{
		{name: "unknown_client",
			cause: "No client has this id, in config.toml or in Redis.",
			cure:  "Compare the id with `grantor client list`. The log shows the id as `claimed_client_id`."},
		{name: "wrong_secret",
			cause: "The client exists, and the secret is another.",
			cure:  "Give the client its current secret, or make a new secret with `grantor client rotate-secret`."},
		{name: "secret_expired",
			cause: "The secret is right, and its `expires_at` is past.",
			cure:  "Make a new secret with `grantor client rotate-secret`. The metric `grantor_client_secrets_expiring` warns 30 days ahead."},
		{name: "client_disabled",
			cause: "An operator disabled the client, and the secret is right.",
			cure:  "If the client may work again, run `grantor client enable`."},
		{name: "address_not_allowed",
			cause: "The client proved itself, from an address outside its `allowed_networks`.",
			cure:  "Read `peer` in the log. If it is a proxy's address, add the proxy to `trusted_proxies`. If it is the client's, add its network. Else the secret may have leaked: rotate it."},
		{name: "auth_method_not_allowed",
			cause: "The client authenticates in a way that it is not registered for, for example by a secret where `private_key_jwt` is registered.",
			cure:  "Change the client's code, or its `token_endpoint_auth_method`."},
		{name: "no_certificate",
			cause: "The client is registered for a certificate, and the request presents none. Or no certificates are read here.",
			cure:  "Send the request to the URL of `mtls_endpoint_aliases`, with the client's certificate and key. Behind a proxy compare `[tls] client_cert_header` with what the proxy sends."},
		{name: "certificate_header",
			cause: "The header of certificates that a trusted proxy sent cannot be used. The member `error` of the log line says why.",
			cure:  "Let the proxy replace the header, in the format that `[tls] client_cert_format` names."},
		{name: "certificate_header_not_trusted",
			cause: "A peer that is not in `trusted_proxies` sent the header of certificates, which counts for nothing.",
			cure:  "If `peer` in the log is your proxy, add its address to `trusted_proxies`. Else somebody tries to forge a certificate."},
		{name: "certificate_expired",
			cause: "The certificate of the client has expired, or is not valid yet.",
			cure:  "Renew the certificate, and check the clocks."},
		{name: "certificate_purpose",
			cause: "The certificate is not for client authentication.",
			cure:  "Issue it with the extended key usage clientAuth, or with none."},
		{name: "certificate_authority",
			cause: "No authority of `[tls] client_ca_file` vouches for the certificate of the client.",
			cure:  "Add the authority to the file, or have the client send its intermediate certificates."},
		{name: "certificate_name",
			cause: "The certificate is good, and does not have the name that the client is registered with.",
			cure:  "Compare `tls_client_auth_…` of the client with the subject and the alternative names of the certificate."},
		{name: "certificate_unknown",
			cause: "The certificate is none of those in the client's `jwks` or at its `jwks_uri`.",
			cure:  "Register the certificate as `x5c`, or publish it before it is used."},
		{name: "certificate_not_bound", answer: "401 invalid_token",
			cause: "An access token that is bound to a certificate came without it. Somebody may have copied the token.",
			cure:  "Present the certificate with which the token was issued, to the same listener or proxy."},
		{name: "no_credentials",
			cause: "The request names no client: there is no `Authorization: Basic`, no `client_id` and no assertion. Or the header cannot be read.",
			cure:  "Send the credentials. A proxy may have removed the `Authorization` header."},
		{name: "no_client",
			cause: "No step of the server authenticated the client. This is a fault of Grantor.",
			cure:  "Report it with the log line."},
		{name: "public_client",
			cause: "A client without a secret asked for introspection or for the revocation feed.",
			cure:  "Give the API a client of its own with a secret."},
		{name: "demo_client_off_loopback",
			cause: "A client of the shipped config.toml was used from another machine, or through a proxy. Its secret is public.",
			cure:  "Make a client of your own with `grantor secret new`."},
	}
}

func assertionReasons() []reason {
	return []reason{
		{name: "malformed_assertion",
			cause: "The text in `client_assertion` is no signed JWT, or a claim has a wrong type.",
			cure:  "Look at the assertion with a JWT debugger. Never paste a real assertion into a web page."},
		{name: "algorithm_not_allowed",
			cause: "The `alg` is not supported, or another than the client's `token_endpoint_auth_signing_alg`. A JWT-SVID has RSA or ECDSA.",
			cure:  "Sign with an algorithm of `token_endpoint_auth_signing_alg_values_supported` in the metadata."},
		{name: "wrong_type",
			cause: "The `typ` of the header is that of another kind of JWT, for example an access token.",
			cure:  "Leave `typ` out, or set `JWT`."},
		{name: "unsupported_extension",
			cause: "The header has `crit`, which names an extension that Grantor does not know.",
			cure:  "Leave `crit` out."},
		{name: "wrong_issuer",
			cause: "`iss` is not the client's id, or is no entry of `[[trusted_issuers]]` that the client is registered for. The trust domain of a JWT-SVID has no entry.",
			cure:  "Set `iss` and `sub` to the client's id. For a workload compare `assertion.issuer` of the client."},
		{name: "wrong_subject",
			cause: "`sub` is not the `assertion.subject` that the client is registered with, or is no SPIFFE ID where a JWT-SVID is announced.",
			cure:  "Compare the subject of the platform's token, for example the service account or the SPIFFE ID, with the registration."},
		{name: "wrong_client_id",
			cause: "`client_id` differs from the assertion's, or is missing beside the token of a platform.",
			cure:  "Send the `client_id` of the registered client."},
		{name: "no_keys_registered",
			cause: "The client has neither `jwks` nor `jwks_uri`.",
			cure:  "Register its public keys with `grantor client update`."},
		{name: "keys_unavailable",
			cause: "The keys at the `jwks_uri` of the client, or of the trusted issuer, cannot be fetched. A client's own keys give 401, a trusted issuer's 503.",
			cure:  "Fetch the URL from Grantor's machine. Check DNS, firewall and `ca_file`; the member `error` of the log line says more."},
		{name: "unknown_key",
			cause: "The key set has no key with the `kid` and `alg` of the assertion. Keys for another `use` do not count: the log says which keys are passed over.",
			cure:  "Publish the new key before you sign with it."},
		{name: "wrong_signature",
			cause: "The signature does not fit the registered key.",
			cure:  "Check that the private key belongs to the registered public key."},
		{name: "wrong_audience",
			cause: "`aud` is not the issuer of this server, and nothing else.",
			cure:  "Set `aud` to the `issuer` of the metadata. Older clients need `accept_token_endpoint_audience`."},
		{name: "expired",
			cause: "`exp` is past.",
			cure:  "Sign a new assertion for each request, and check the clocks."},
		{name: "no_expiry",
			cause: "The assertion has no `exp`.",
			cure:  "Set `exp`, for example one minute ahead."},
		{name: "expires_too_late",
			cause: "`exp` is further ahead than `[limits] assertion_max_ttl`.",
			cure:  "Sign for a shorter time, or raise the limit."},
		{name: "not_yet_valid",
			cause: "`nbf` or `iat` is in the future.",
			cure:  "Check the clocks of the client and of Redis, by which Grantor tells the time."},
		{name: "no_jti",
			cause: "The assertion has no `jti`, or a very long one.",
			cure:  "Set `jti` to a new random value for each assertion."},
		{name: "replayed",
			cause: "The same `jti` came before.",
			cure:  "Sign a new assertion for each request, also when a request is repeated. If the client does so, somebody may have copied an assertion."},
	}
}

func loginReasons() []reason {
	return []reason{
		{name: "unknown_user",
			cause: "The user directory has no user of this name.",
			cure:  "None. Many in a short time mean that somebody tries names."},
		{name: "wrong_password",
			cause: "The user exists, and the password is another.",
			cure:  "None, or `grantor user set-password` for the Redis directory."},
		{name: "user_disabled",
			cause: "The user is disabled or deleted. At a refresh the session ends.",
			cure:  "If the user may log in, run `grantor user enable`, or change the user in the application."},
		{name: "no_usable_password",
			cause: "The stored hash is empty, is Django's `!…`, or has a form that Grantor does not read.",
			cure:  "Set a new password. The reference of `[users]` lists the forms."},
		{name: "user_locked",
			cause: "The user had `[limits] password_failures` failures within the window.",
			cure:  "Run `grantor user unlock`, set a new password, or wait until the window ends. The log line names the user as `sub`."},
		{name: "address_locked",
			cause: "The address had `[limits] password_failures_per_address` failures within the window.",
			cure:  "Wait. If many users share the address, raise the limit or set `trusted_proxies`: without it a proxy's address counts for all."},
		{name: "password_changed_meanwhile",
			cause: "The password changed while this login was checked.",
			cure:  "The user logs in again."},
		{name: "demo_user_off_loopback",
			cause: "The user of the shipped config.toml logged in from another machine, or through a proxy. The password is public.",
			cure:  "Make a user of your own."},
	}
}

func refreshReasons() []reason {
	return []reason{
		{name: "not_ours",
			cause: "The text is no refresh token of this server. Redis may have lost the server key, or the app talks to another environment.",
			cure:  "Check the app's issuer. After a loss of Redis all users log in again."},
		{name: "session_gone",
			cause: "The session expired, was revoked, or was lost with Redis.",
			cure:  "The user logs in again. If it is many users at once, look at `grantor_redis_data_lost_total` and at the eviction policy."},
		{name: "session_expired",
			cause: "The session is older than `refresh_max_ttl` or `not_before`, or all sessions of the user or the client were ended.",
			cure:  "The user logs in again."},
		{name: "other_clients_token",
			cause: "The refresh token was issued to another client. Nothing was changed.",
			cure:  "Use the `client_id` of the login. If the app does so, somebody may have copied the token."},
		{name: "refresh_token_bound",
			cause: "The refresh token is bound to a key or a certificate that the request did not prove. Nothing was changed. Somebody may have copied the token.",
			cure:  "Send a DPoP proof by the key of the login, or use its certificate. If the app has lost its key, the user logs in again."},
		{name: "refresh_token_reused",
			cause: "A refresh token came again after its successor was used, or after the retry window. The session was ended: a thief may have the token.",
			cure:  "The user logs in again. If it happens to many, the app uses a token twice: refresh once for parallel requests, and store the new token before you use it."},
		{name: "refresh_rotation_lost",
			cause: "A failover of Redis lost the last rotation, so that the app has a newer token than Redis knows. The session was ended.",
			cure:  "The user logs in again. Look at `wait_replicas` and at the failover."},
		{name: "retry_after_revocation",
			cause: "A lost refresh was repeated, and its access token was revoked meanwhile. Nothing was changed.",
			cure:  "The app refreshes with the newest token, or the user logs in again."},
		{name: "logged_out_meanwhile",
			cause: "The user was logged out while this login or refresh was under way.",
			cure:  "The user logs in again."},
		{name: "password_changed",
			cause: "The user's password in the directory is another than at the login. The session was ended.",
			cure:  "The user logs in again."},
		{name: "retry_after_outage", answer: "200, in the trail",
			cause: "A refresh was repeated after the retry window, and an outage of this server explains the delay. The client got a new pair of tokens.",
			cure:  "None."},
	}
}
