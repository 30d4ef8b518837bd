package server

import "sync"

// pollPlaces bounds the polls that are held. They take no places of other requests, and the polls
// of one client leave places for those of the next.
type pollPlaces struct {
	mu       sync.Mutex
	all      int
	byClient map[string]int
}

// maxPolls is how many polls may be held: some 20 kB each, with the connection.
const maxPolls = 10_000

// pollShare is how many places one client may have for each free place: four of five at most.
const pollShare = 4

// enter takes a place; leave must follow, also after a refusal.
func (p *pollPlaces) enter(client string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byClient == nil {
		p.byClient = map[string]int{}
	}
	p.all++
	p.byClient[client]++
	if free := maxPolls - p.all + 1; p.byClient[client] > pollShare*free {
		return unavailable(nil, "polls_underway", "too many polls of the revocation feed are under way; try again")
	}
	return nil
}

func (p *pollPlaces) leave(client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.byClient[client]--; p.byClient[client] == 0 {
		delete(p.byClient, client)
	}
}

// PollsHeld returns how many polls of the revocation feed are under way.
func (s *Server) PollsHeld() int {
	s.polls.mu.Lock()
	defer s.polls.mu.Unlock()
	return s.polls.all
}
