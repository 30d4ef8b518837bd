package keys

// NewKey lets tests make a ready key.
var NewKey = newKey
