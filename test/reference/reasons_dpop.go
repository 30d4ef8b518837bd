package reference

import "slices"

// answerOfProof is the answer to a request whose proof is refused.
const answerOfProof = "400 invalid_dpop_proof, of APIs 401"

// proofReasons are those of package internal/dpop, which the server, APIs and the gate share.
func proofReasons() []reason { return slices.Concat(proofFormReasons(), proofClaimReasons()) }

// proofFormReasons are about the header, the key and the signature of a proof.
func proofFormReasons() []reason {
	return []reason{
		{name: "dpop_proof_missing", answer: answerOfProof,
			cause: "A token is bound to a key, or must be, and no header `DPoP` came.",
			cure:  "Send a new proof with each request. A thief who has the token alone looks like this."},
		{name: "dpop_several_proofs", answer: answerOfProof,
			cause: "The request has more than one header `DPoP`.",
			cure:  "Send one proof. Look for a proxy or a library that adds a second one."},
		{name: "dpop_proof_too_long", answer: answerOfProof,
			cause: "The proof is longer than 4 kB.",
			cure:  "Leave certificates and needless claims out of the proof."},
		{name: "dpop_malformed", answer: answerOfProof,
			cause: "The header `DPoP` holds no JWT in compact form, or a member occurs twice.",
			cure:  "Make proofs with a library. A proxy that joins two headers by a comma looks like this too."},
		{name: "dpop_wrong_type", answer: answerOfProof,
			cause: "`typ` of the proof is not `dpop+jwt`.",
			cure:  "Set `typ`. Another kind of JWT was sent as a proof."},
		{name: "dpop_algorithm_not_allowed", answer: answerOfProof,
			cause: "`alg` of the proof is not in the list, or does not fit the key in `jwk`.",
			cure:  "Use ES256. `dpop_signing_alg_values_supported` and the challenge have the whole list."},
		{name: "dpop_unsupported_extension", answer: answerOfProof,
			cause: "The header of the proof has `crit` or `b64`.",
			cure:  "Leave the member out."},
		{name: "dpop_no_public_key", answer: answerOfProof,
			cause: "`jwk` is missing, is symmetric, is of an unknown kind, or is no valid key.",
			cure:  "Put the public key into `jwk`: EC, Ed25519 or RSA."},
		{name: "dpop_weak_key", answer: answerOfProof,
			cause: "The RSA key in `jwk` has fewer than 2048 or more than 4096 bits.",
			cure:  "Use a P-256 key."},
		{name: "dpop_private_key", answer: answerOfProof,
			cause: "`jwk` holds the private key.",
			cure:  "Send public members alone. The key is known to others now: make a new one."},
		{name: "dpop_wrong_signature", answer: answerOfProof,
			cause: "The signature is not by the key in `jwk`.",
			cure:  "Sign with the private half of the key in `jwk`. A proof that somebody changed looks like this."},
	}
}

// proofClaimReasons are about what a proof is for, and whether it fits the token.
func proofClaimReasons() []reason {
	return []reason{
		{name: "dpop_wrong_method", answer: answerOfProof,
			cause: "`htm` is not the method of the request.",
			cure:  "Write the method in capitals, as it is sent."},
		{name: "dpop_wrong_url", answer: answerOfProof,
			cause: "`htu` is not the URL of the request as clients see it.",
			cure:  "Of an API: compare `DPoP.URL`, or `--dpop-url` of the gate, with the URL that clients use. At the server, proofs name the issuer's URL."},
		{name: "dpop_no_time", answer: answerOfProof,
			cause: "The proof has no `iat`.",
			cure:  "Set `iat` to the time at which the proof is made."},
		{name: "dpop_expired", answer: answerOfProof,
			cause: "`iat` is more than a minute ago, or `exp` has passed.",
			cure:  "Make a new proof for each request. Where clients' clocks cannot be right, demand nonces."},
		{name: "dpop_not_yet_valid", answer: answerOfProof,
			cause: "`iat` is more than a minute in the future.",
			cure:  "Correct the clock. Where clients' clocks cannot be right, demand nonces."},
		{name: "dpop_no_jti", answer: answerOfProof,
			cause: "`jti` is missing, or longer than 256 bytes.",
			cure:  "Put a random value into `jti`."},
		{name: "dpop_wrong_token", answer: answerOfProof,
			cause: "`ath` is missing, or is the hash of another access token.",
			cure:  "Make the proof for the token that is sent: `ath` is the base64url of its SHA-256."},
		{name: "dpop_no_nonce", answer: "400 use_dpop_nonce, of APIs 401",
			cause: "Nonces are demanded, and the proof has none. It is the first request of a client.",
			cure:  "Repeat the request with the nonce of the header `DPoP-Nonce`. Libraries do so by themselves."},
		{name: "dpop_wrong_nonce", answer: "400 use_dpop_nonce, of APIs 401",
			cause: "The nonce has expired, or is none of this deployment's.",
			cure:  "Repeat the request with the nonce of the header `DPoP-Nonce`. Instances of one API need the same `DPoP.NonceKey`."},
		{name: "dpop_wrong_key", answer: "400 invalid_grant, of APIs 401 invalid_token",
			cause: "The token is bound to another key than the proof has.",
			cure:  "The token may be stolen. Else the client lost its key: let it get a new token."},
		{name: "bound_token_as_bearer", answer: "401 invalid_token",
			cause: "An access token that is bound to a key came as a bearer token. Somebody may have copied the token.",
			cure:  "Send it in the scheme `DPoP`, with a proof."},
		{name: "token_not_bound", answer: "401 invalid_token",
			cause: "An access token that is bound to no key came in the scheme `DPoP`.",
			cure:  "Ask for the token with a proof, or send it in the scheme `Bearer`."},
		{name: "dpop_replayed", answer: answerOfProof,
			cause: "The proof was used before.",
			cure:  "Make a new proof for each request, a repeated request included. Somebody may have copied the proof."},
	}
}
