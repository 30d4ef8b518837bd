// Package store is called by an interface.
package store

// Store loads.
type Store interface{ Load(text string) error }
