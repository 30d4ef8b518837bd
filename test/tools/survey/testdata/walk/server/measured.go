package server

import "github.com/grantor-auth/grantor/test/tools/survey/testdata/walk/store"

// measured calls by the interface that it implements: not itself.
type measured struct{ store.Store }

// Load implements store.Store.
func (m measured) Load(text string) error { return m.Store.Load(text) }
