package jws

import (
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Header is what Grantor reads of a header (RFC 7515 §4.1). jwk, jku, x5c and x5u are never
// heeded (RFC 8725 §3.10).
type Header struct {
	Algorithm string // alg
	Type      string // typ as MediaType has it
	KeyID     string // kid; "": none
	Extension bool   // crit (RFC 7515 §4.1.11) or b64 (RFC 7797) is there: no JWT may have them
	Others    bool   // there are more members than alg, typ and kid
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
	return h, nil
}
