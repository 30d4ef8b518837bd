package store

// Memory is what no request passes.
type Memory struct{}

// Load implements Store.
func (*Memory) Load(string) error { return nil }
