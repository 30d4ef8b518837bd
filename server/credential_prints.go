package server

import (
	"sync/atomic"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// credentialPrints makes fingerprints of credentials under the present server key. A session keeps
// the fingerprint, so that a refresh notices a new password.
type credentialPrints struct {
	codec   *tokens.Codec
	present atomic.Pointer[keyedPrints]
}

// keyedPrints are the fingerprints under one server key.
type keyedPrints struct {
	key    tokens.ServerKey
	prints *users.Fingerprints
}

// of returns the first 16 bytes of a credential's fingerprint.
func (p *credentialPrints) of(c users.Credential) [16]byte {
	key, present := p.codec.Key(), p.present.Load()
	if present == nil || present.key != key {
		present = &keyedPrints{key, users.NewFingerprints(key.Derive("grantor/credential/v1"))}
		p.present.Store(present)
	}
	full := present.prints.Of(c)
	return [16]byte(full[:16])
}
