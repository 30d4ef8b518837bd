package dpop

import (
	"errors"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// Reason says in logs and metrics why a proof was refused. It is the error of this package, and its
// text is the sentence for the client, which holds nothing of the proof.
type Reason string

// The reasons.
const (
	Missing        Reason = "dpop_proof_missing"
	Several        Reason = "dpop_several_proofs"
	TooLong        Reason = "dpop_proof_too_long"
	Malformed      Reason = "dpop_malformed"
	WrongType      Reason = "dpop_wrong_type"
	WrongAlgorithm Reason = "dpop_algorithm_not_allowed"
	Critical       Reason = "dpop_unsupported_extension"
	NoKey          Reason = "dpop_no_public_key"
	WeakKey        Reason = "dpop_weak_key"
	PrivateKey     Reason = "dpop_private_key"
	WrongSignature Reason = "dpop_wrong_signature"
	WrongMethod    Reason = "dpop_wrong_method"
	WrongURL       Reason = "dpop_wrong_url"
	NoTime         Reason = "dpop_no_time"
	Expired        Reason = "dpop_expired"
	NotYet         Reason = "dpop_not_yet_valid"
	NoID           Reason = "dpop_no_jti"
	WrongToken     Reason = "dpop_wrong_token"
	NoNonce        Reason = "dpop_no_nonce"
	WrongNonce     Reason = "dpop_wrong_nonce"
	WrongKey       Reason = "dpop_wrong_key"
	Replayed       Reason = "dpop_replayed" // for callers, who remember proofs
)

// Reasons returns all reasons, for references and metrics.
func Reasons() []Reason {
	return []Reason{Missing, Several, TooLong, Malformed, WrongType, WrongAlgorithm, Critical, NoKey, WeakKey, PrivateKey, WrongSignature,
		WrongMethod, WrongURL, NoTime, Expired, NotYet, NoID, WrongToken, NoNonce, WrongNonce, WrongKey, Replayed}
}

// Error is the sentence for the client's developer. It is printable ASCII without quotes and
// backslashes, as a challenge needs it (RFC 9110 §11.5).
func (r Reason) Error() string {
	switch r {
	case Missing:
		return "the request has no DPoP proof; send one in the header DPoP (RFC 9449 4.1)"
	case Several:
		return "the request has more than one DPoP header; send one proof (RFC 9449 4.3)"
	case TooLong:
		return "the DPoP proof is longer than 4 kB"
	case WrongType:
		return "typ of the DPoP proof must be dpop+jwt (RFC 9449 4.2)"
	case WrongAlgorithm:
		return "alg of the DPoP proof must be one of ES256, ES384, EdDSA, Ed25519, PS256 and RS256, and fit the key in jwk"
	case Critical:
		return "the DPoP proof demands an extension that is not supported (crit, b64)"
	case NoKey:
		return "the DPoP proof needs a public key in jwk: EC, Ed25519 or RSA (RFC 9449 4.2)"
	case WeakKey:
		return "the RSA key in jwk of the DPoP proof must have 2048 to 4096 bits"
	case PrivateKey:
		return "jwk of the DPoP proof holds a private key; send its public members alone, and replace the key"
	case WrongSignature:
		return "the signature of the DPoP proof is not by the key in its jwk"
	default:
		return r.claimSentence()
	}
}

// claimSentence is Error for what the claims of a proof say.
func (r Reason) claimSentence() string {
	switch r {
	case WrongMethod:
		return "htm of the DPoP proof must be the method of this request (RFC 9449 4.2)"
	case WrongURL:
		return "htu of the DPoP proof must be the URL of this request, without query and fragment (RFC 9449 4.2)"
	case NoTime:
		return "the DPoP proof has no iat (RFC 9449 4.2)"
	case Expired:
		return "the DPoP proof is too old; make a new one for each request, and check the clock"
	case NotYet:
		return "iat of the DPoP proof is in the future; check the clock"
	case NoID:
		return "the DPoP proof needs a jti of 1 to 256 bytes (RFC 9449 4.2)"
	case WrongToken:
		return "ath of the DPoP proof must be the base64url of SHA-256 of this access token (RFC 9449 4.2)"
	case NoNonce:
		return "the DPoP proof needs the nonce of the header DPoP-Nonce (RFC 9449 8)"
	case WrongNonce:
		return "the nonce of the DPoP proof is unknown or has expired; use that of the header DPoP-Nonce (RFC 9449 8)"
	case WrongKey:
		return "the access token is bound to another key than the DPoP proof has"
	case Replayed:
		return "the DPoP proof was used before; make a new one for each request (RFC 9449 11.1)"
	default:
		return "the DPoP proof is not a JWT in compact serialization (RFC 9449 4.2)"
	}
}

// WantsNonce says whether the answer is use_dpop_nonce, with a nonce (RFC 9449 §8, §9).
func (r Reason) WantsNonce() bool { return r == NoNonce || r == WrongNonce }

// reasonOf names a refusal of package jwt.
func reasonOf(err error) Reason {
	refusal, _ := errors.AsType[jwt.TokenError](err)
	switch refusal {
	case jwt.TooLong:
		return TooLong
	case jwt.BadAlgorithm:
		return WrongAlgorithm
	case jwt.BadType:
		return WrongType
	case jwt.Critical:
		return Critical
	case jwt.NoOwnKey:
		return NoKey
	case jwt.WeakOwnKey:
		return WeakKey
	case jwt.PrivateKey:
		return PrivateKey
	}
	return Malformed
}
