// Package excused says why.
package excused

import "math/rand/v2"

// Number is no secret.
func Number() uint64 { return rand.Uint64() } // #nosec G404 -- no secret
