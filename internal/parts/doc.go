// Package parts opens the parts that a configuration names: Redis, signing keys, user directory,
// audit trail, certificate. A node opens all of them; a command opens only what the command needs.
// Check opens what can be opened without a network.
//
// What a caller opens, the caller closes.
package parts

// ConfigError is a configuration that no part can be opened by. The cause lies in the
// configuration, so that trying again does not help.
type ConfigError struct{ Err error }

// Error implements error.
func (e ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e ConfigError) Unwrap() error { return e.Err }
