package server

import (
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// shedder bounds the requests that are under way on this node, so that what cannot be done in time
// is refused at once. Giving out tokens goes first and introspection last: who has a token keeps
// working longest.
type shedder struct {
	inside    atomic.Int64
	refreshes atomic.Int64 // of those inside, that wait for the directory of users
	logins    logins       // of those inside
	most      int64
}

// logins are those that are under way, and how many of an address.
type logins struct {
	mu  sync.Mutex
	all int64
	of  map[string]int64
}

// maxUnderway is how many requests may be under way: some 40 ms of a node's work.
const maxUnderway = 2048

// room is how many may be under way when one of an endpoint comes.
func (s *shedder) room(endpoint string) int64 {
	switch endpoint {
	case "register", "admin":
		return s.most / 4
	case "token":
		return s.most / 2
	case "revoke":
		return s.most * 3 / 4
	case "health": // an overloaded node is alive: nobody must restart it
		return math.MaxInt64
	}
	return s.most
}

// enter counts a request in; leave must follow it. The error is a refusal.
func (s *shedder) enter(endpoint string) error {
	if s.inside.Add(1) > s.room(endpoint) {
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: "overloaded",
			Description: "too many requests are under way; try again"}
	}
	return nil
}

func (s *shedder) leave() { s.inside.Add(-1) }

// enterRefresh counts in a refresh that the directory of users must answer for; leaveRefresh must
// follow it. One directory that hangs takes half of the token endpoint's places, log-ins a quarter,
// and machines have the others.
func (s *shedder) enterRefresh() error {
	if s.refreshes.Add(1) > s.room("token")/2 {
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: "directory_busy",
			Description: "too many requests wait for the directory of users; try again"}
	}
	return nil
}

func (s *shedder) leaveRefresh() { s.refreshes.Add(-1) }

// loginShare is how many log-ins of one address may be under way for each place that is free: four of five places at most, and
// where several fill them still one for the next address.
const loginShare = 4

// enterLogin counts in a log-in from an address; leaveLogin must follow it. Log-ins that wait for each other or for a slot take nothing
// from refreshes, and those of one address not all from another.
func (s *shedder) enterLogin(network string) error {
	l := &s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]int64{}
	}
	l.all++
	l.of[network]++
	if free := s.room("token")/4 - l.all + 1; l.of[network] > loginShare*free {
		return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: "logins_underway",
			Description: "too many log-ins are under way; try again"}
	}
	return nil
}

func (s *shedder) leaveLogin(network string) {
	l := &s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.of[network]--; l.of[network] == 0 {
		delete(l.of, network)
	}
}
