// Package unsaid does not say why.
package unsaid

import "math/rand/v2"

// Number is no secret.
func Number() uint64 { return rand.Uint64() } // #nosec
