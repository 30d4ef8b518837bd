package server

import (
	"math"
	"sync"
	"sync/atomic"
)

// overload refuses requests at once that this node could not answer in time. Endpoints that give
// out tokens are refused first and introspection last: who has a token keeps working longest.
type overload struct {
	maximum   int64        // of requests under way
	requests  atomic.Int64 // under way
	refreshes atomic.Int64 // of those, waiting for the user directory
	logins    loginsUnderway
}

// loginsUnderway counts logins under way, in all and by network.
type loginsUnderway struct {
	mu        sync.Mutex
	all       int64
	byNetwork map[string]int64
}

// maxUnderway is how many requests may be under way: some 40 ms of a node's work.
const maxUnderway = 2048

// capacity is how many requests may be under way when a request for this endpoint comes.
func (o *overload) capacity(endpoint string) int64 {
	switch endpoint {
	case "register", "admin":
		return o.maximum / 4
	case "token":
		return o.maximum / 2
	case "revoke", "sessions":
		return o.maximum * 3 / 4
	case "health": // an overloaded node works: nobody must restart it
		return math.MaxInt64
	}
	return o.maximum
}

// enter counts a request in; leave must follow it, also after a refusal.
func (o *overload) enter(endpoint string) error {
	if o.requests.Add(1) > o.capacity(endpoint) {
		return unavailable(nil, "overloaded", "too many requests are under way; try again")
	}
	return nil
}

func (o *overload) leave() { o.requests.Add(-1) }

// leaveOverload counts a request out, once: at its end, or where it begins to wait at no cost.
func (s *Server) leaveOverload(x *exchange) {
	if !x.uncounted {
		x.uncounted = true
		s.overload.leave()
	}
}

// enterRefresh counts in a refresh that asks the user directory; leaveRefresh must follow it. A
// directory that hangs takes half of the token endpoint's capacity, and logins take a quarter:
// machines keep the rest.
func (o *overload) enterRefresh() error {
	if o.refreshes.Add(1) > o.capacity("token")/2 {
		return unavailable(nil, "directory_busy",
			"too many requests wait for the directory of users; try again")
	}
	return nil
}

func (o *overload) leaveRefresh() { o.refreshes.Add(-1) }

// loginShare is how many logins one network may have under way for each free place: it takes four
// of five places at most, and the next network finds a place.
const loginShare = 4

// enterLogin counts in a login from a network; leaveLogin must follow it. Logins that wait for each
// other, or for a password slot, take nothing from refreshes.
func (o *overload) enterLogin(network string) error {
	l := &o.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byNetwork == nil {
		l.byNetwork = map[string]int64{}
	}
	l.all++
	l.byNetwork[network]++
	if free := o.capacity("token")/4 - l.all + 1; l.byNetwork[network] > loginShare*free {
		return unavailable(nil, "logins_underway", "too many logins are under way; try again")
	}
	return nil
}

func (o *overload) leaveLogin(network string) {
	l := &o.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.byNetwork[network]--; l.byNetwork[network] == 0 {
		delete(l.byNetwork, network)
	}
}
