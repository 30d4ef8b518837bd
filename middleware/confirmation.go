package middleware

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/jws"
)

// Confirmation is what a token is bound to (cnf, RFC 7800 §3.1): only who has the private key may
// use it. Where both are set, both must be shown.
type Confirmation struct {
	KeyThumbprint         [32]byte // jkt (RFC 9449 §6.1), of the key of DPoP proofs; zero: none
	CertificateThumbprint [32]byte // x5t#S256 (RFC 8705 §3.1), of the client's certificate; zero: none
}

// IsZero says whether the token is bound to nothing: whoever has it may use it (RFC 6750 §1.2).
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

func (c *Confirmation) hasKey() bool         { return c.KeyThumbprint != [32]byte{} }
func (c *Confirmation) hasCertificate() bool { return c.CertificateThumbprint != [32]byte{} }

// ErrHolderUnknown is what a Verifier returns for a token that is bound to a key or a certificate,
// where nobody checks who sends it. It wraps ErrInvalidToken.
var ErrHolderUnknown = fmt.Errorf("%w: it is bound to a key or a certificate, which nobody checks here", ErrInvalidToken)

type holderKey struct{}

// WithHolderCheck says that the caller of a Verifier holds Token.Confirmation against the request
// itself. A Guard does, for the token of the request. Without either, a Verifier refuses bound
// tokens: also those that a handler behind a Guard finds elsewhere, as in a body.
func WithHolderCheck(ctx context.Context) context.Context {
	return context.WithValue(ctx, holderKey{}, true)
}

// FromHolder returns the token, unless it is bound and nobody checks who sends it: then
// ErrHolderUnknown. Each Verifier of Grantor ends with it.
func FromHolder(ctx context.Context, t *Token) (*Token, error) {
	if t == nil || t.Confirmation.IsZero() || ctx.Value(holderKey{}) == true {
		return t, nil
	}
	return nil, ErrHolderUnknown
}

// errConfirmation quotes nothing of the token.
var errConfirmation = errors.New("cnf of the token is not understood (RFC 7800 §3.1)")

// parseConfirmation reads cnf as it was written; nil: there is none. A member that is not known is
// an error: a token that is bound in an unknown way must not pass for one that is bound less.
func parseConfirmation(text []byte) (c Confirmation, err error) {
	if text == nil {
		return c, nil
	}
	members, err := jsonobject.Read(text)
	if err != nil || len(members) == 0 {
		return c, errConfirmation
	}
	for name := range members.All() {
		switch string(name) {
		case "jkt":
			c.KeyThumbprint, err = thumbprint(members, "jkt")
		case "x5t#S256":
			c.CertificateThumbprint, err = thumbprint(members, "x5t#S256")
		default:
			err = errConfirmation
		}
		if err != nil {
			return Confirmation{}, err
		}
	}
	return c, nil
}

// thumbprint reads the base64url of a SHA-256. Zeros would stand for none, and are no thumbprint.
func thumbprint(o jsonobject.Members, name string) (sum [32]byte, err error) {
	text, err := o.Text(name)
	if err != nil {
		return sum, errConfirmation
	}
	value, err := jws.Decode(text)
	if err != nil || len(value) != len(sum) || [32]byte(value) == sum {
		return sum, errConfirmation
	}
	return [32]byte(value), nil
}
