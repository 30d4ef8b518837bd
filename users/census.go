package users

import "sync"

// census learns which form of hash most users of a directory have, so that an unknown name
// costs the same as a known one. It starts with the form that Hash makes. Each user counts once
// however often they try, so no single account bends it. In a directory of mixed forms the
// rarer ones stay recognisable by time.
type census struct {
	mu     sync.Mutex
	voters map[string]string // user id → form, at most censusSize
	ring   []string          // the same ids in order of arrival
	oldest int               // index in ring, once it is full
	forms  map[string]*votes
	leader passwordHash // the blank hash of the most frequent form
}

type votes struct {
	users int
	blank passwordHash
}

// censusSize is how many users are remembered: enough to know what is usual.
const censusSize = 512

func newCensus() *census {
	return &census{voters: map[string]string{}, forms: map[string]*votes{}, leader: ownForm().blank()}
}

// dummy returns a hash that costs what is usual here and that no password matches.
func (c *census) dummy() passwordHash {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leader
}

// count notes the form of one user's hash.
func (c *census) count(id string, hash passwordHash) {
	form := hash.form()
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.voters[id]
	if known && before == form {
		return
	}
	if known {
		c.withdraw(before)
	} else {
		c.admit(id)
	}
	c.voters[id] = form
	if c.forms[form] == nil {
		c.forms[form] = &votes{blank: hash.blank()}
	}
	c.forms[form].users++
	c.elect()
}

// admit gives id a place in the ring, at the price of the oldest.
func (c *census) admit(id string) {
	if len(c.ring) < censusSize {
		c.ring = append(c.ring, id)
		return
	}
	gone := c.ring[c.oldest]
	c.withdraw(c.voters[gone])
	delete(c.voters, gone)
	c.ring[c.oldest] = id
	c.oldest = (c.oldest + 1) % censusSize
}

func (c *census) withdraw(form string) {
	v := c.forms[form]
	if v.users--; v.users == 0 {
		delete(c.forms, form)
	}
}

// elect makes the most frequent form the leader; between equals the name decides, so that the
// answer does not change from call to call.
func (c *census) elect() {
	most, name := 0, ""
	for form, v := range c.forms {
		if v.users > most || v.users == most && form > name {
			most, name = v.users, form
			c.leader = v.blank
		}
	}
}
