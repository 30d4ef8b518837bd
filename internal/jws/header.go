package jws

import (
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Header is what Grantor reads of a header (RFC 7515 §4.1). jku, x5c and x5u are never heeded (RFC
// 8725 §3.10), and jwk in proofs of possession alone.
type Header struct {
	Algorithm string // alg
	Type      string // typ as MediaType has it
	KeyID     string // kid; "": none
	Extension bool   // crit (RFC 7515 §4.1.11) or b64 (RFC 7797) is there: no JWT may have them
	Others    bool   // there are more members than alg, typ and kid
	Key       []byte // jwk as it was written; nil: none. Only a proof of possession may bring its key (RFC 9449 §4.2)
}

// MediaType makes typ comparable: media types know no case, and application/ may be left out (RFC
// 7515 §4.1.9).
func MediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

func readHeader(text []byte) (h Header, err error) {
	members, err := jsonobject.Read(text)
	if err != nil {
		return h, ErrMalformed
	}
	if h.Algorithm, err = members.Text("alg"); err != nil {
		return h, ErrMalformed
	}
	if h.Type, err = members.Text("typ"); err != nil {
		return h, ErrMalformed
	}
	if h.KeyID, err = members.Text("kid"); err != nil {
		return h, ErrMalformed
	}
	h.Type = MediaType(h.Type)
	h.Extension = members.Has("crit") || members.Has("b64")
	h.Others = !members.Only("alg", "typ", "kid")
	h.Key, _ = members.Get("jwk")
	return h, nil
}
