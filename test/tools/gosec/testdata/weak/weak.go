// Package weak is found.
package weak

import "math/rand/v2"

// Token is no token.
func Token() uint64 { return rand.Uint64() }
