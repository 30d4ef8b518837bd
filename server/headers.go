package server

// fixedHeaders are values that every answer shares. Nobody may write into them; Header.Set and Add
// do not.
type fixedHeaders struct {
	noStore, noCache, noSniff, noReferrer, json []string
}

func newFixedHeaders() *fixedHeaders {
	return &fixedHeaders{noStore: []string{"no-store"}, noCache: []string{"no-cache"},
		noSniff: []string{"nosniff"}, noReferrer: []string{"no-referrer"}, json: []string{"application/json"}}
}
