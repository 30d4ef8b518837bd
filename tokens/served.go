package tokens

import (
	"crypto/sha256"
	"time"
)

// ServedEvery is how often a node says what it serves; see Store.Serving.
const ServedEvery = time.Second

// ServedName stands for a client or a user of a configuration: a hash of the kind and the id.
type ServedName [8]byte

// ClientName is the name of a client of a configuration.
func ClientName(id string) ServedName { return nameOf("client", id) }

// UserName is the name of a user of a configuration.
func UserName(id string) ServedName { return nameOf("user", id) }

func nameOf(kind, id string) ServedName {
	sum := sha256.Sum256([]byte(kind + "\x00" + id))
	return ServedName(sum[:8])
}

// joined is the names one behind the other, and what that list is called.
func joined(names []ServedName) (list, digest []byte) {
	list = make([]byte, 0, 8*len(names))
	for _, n := range names {
		list = append(list, n[:]...)
	}
	sum := sha256.Sum256(list)
	return list, sum[:8]
}
