package tokens

import (
	"crypto/sha256"
	"time"
)

// ServedEvery is how often a node says what it serves: see Store.Serving.
const ServedEvery = time.Second

// ServedName is a client or a user of a configuration, or the rules that hold for all tokens: a
// hash of kind and id.
type ServedName [8]byte

// ClientName returns the name of a client.
func ClientName(id string) ServedName { return nameOf("client", id) }

// UserName returns the name of a user.
func UserName(id string) ServedName { return nameOf("user", id) }

// RulesName returns the name of rules that hold for all tokens, by a text that says them all.
// Whoever takes them out of force does not know what they were; so the name says what it is.
func RulesName(rules string) ServedName {
	n := nameOf("rules", rules)
	n[0], n[1] = rulesMark, rulesMark
	return n
}

const rulesMark = 0xff

// IsRules says whether n is a RulesName, or one of the few others that look like one.
func (n ServedName) IsRules() bool { return n[0] == rulesMark && n[1] == rulesMark }

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
