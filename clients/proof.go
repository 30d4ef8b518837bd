package clients

import "time"

// Proof is a client that proved itself, and by which of its credentials.
type Proof struct {
	Client *Client
	// Credential names what proved the client, as the audit trail has it: "secret:" and the
	// secret's id, "key:" and the key's kid or thumbprint, "workload:" and issuer and subject of a
	// platform's token, "cert:" and the beginning of the certificate's SHA-256. "": a public client
	// proved nothing.
	Credential string
	Slow       SecretHash // the slow hash that proved it; zero: none did

	used *lastUse // of the credential; nil: nobody asks
}

// Names of kinds of credentials.
const (
	credentialSecret = "secret:"
	credentialKey    = "key:"
)

// ByAssertion is the proof of a client by a JWT, whose key or issuer credential names.
func ByAssertion(c *Client, credential string) Proof {
	return Proof{Client: c, Credential: credential, used: c.used.key(credential)}
}

// Used notes that client and credential were used.
func (p Proof) Used(now time.Time) {
	p.used.note(now)
	if p.Client.used.note(now) {
		credential := p.Credential // and not p itself, which would go to the heap at each request
		p.Client.used.credential.Store(&credential)
	}
}

// Credential names a secret as Proof does.
func (s Secret) Credential() string {
	if s.named != "" {
		return s.named
	}
	return credentialSecret + s.ID()
}
