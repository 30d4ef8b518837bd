package store

// Wrapper is a second wrapper. It calls by the interface, but none of its callers.
type Wrapper struct{ Store }

// Load implements Store.
func (w Wrapper) Load(text string) error { return w.Store.Load(text) }
