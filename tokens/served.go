package tokens

import (
	"crypto/sha256"
	"time"
)

// ServedEvery is how often a node says what it serves: see Store.Serving.
const ServedEvery = time.Second

// ServedName is a client or a user of a configuration: a hash of kind and id.
type ServedName [8]byte

// ClientName returns the name of a client.
func ClientName(id string) ServedName { return nameOf("client", id) }

// UserName returns the name of a user.
func UserName(id string) ServedName { return nameOf("user", id) }

func nameOf(kind, id string) ServedName {
	sum := sha256.Sum256([]byte(kind + "\x00" + id))
	return ServedName(sum[:8])
}

// joined puts names into one list, and returns the list's digest.
func joined(names []ServedName) (list, digest []byte) {
	list = make([]byte, 0, 8*len(names))
	for _, n := range names {
		list = append(list, n[:]...)
	}
	sum := sha256.Sum256(list)
	return list, sum[:8]
}
