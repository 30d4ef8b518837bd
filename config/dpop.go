package config

import "time"

// DPoP says what is demanded of DPoP proofs (RFC 9449).
type DPoP struct {
	Nonce         string        `toml:"nonce"`
	NonceLifetime time.Duration `toml:"nonce_lifetime"`
}

// The values of DPoP.Nonce.
const (
	NonceOff      = "off"
	NonceRequired = "required"
)

// Nonces is how long a nonce is good for; 0: proofs need none.
func (d DPoP) Nonces() time.Duration {
	if d.Nonce != NonceRequired {
		return 0
	}
	return d.NonceLifetime
}
