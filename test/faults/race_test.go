package faults_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const (
	uses   = 32 // of one refresh token, at once
	rounds = 8
)

// TestRefreshRaces uses one refresh token from many connections to two nodes, whose requests lack
// their last byte until all are there.
func TestRefreshRaces(t *testing.T) {
	s := redistest.Start(t)
	t.Run("S-53 V-01 RT-12 RT-13 RT-16 without a retry window: exactly one of 32 uses succeeds, and the reuse ends the session", func(t *testing.T) {
		d := deploy(t, single(s.Addr)+"tokens.retry_window = \"0s\"\n")
		r := newRace(t, d)
		won, failed := 0, 0
		for round := range rounds {
			user := fmt.Sprintf("user-%d", round)
			first := r.login(t.Context(), r.nodes[0], user)
			wins, fives := r.count(r.at(r.repeat(first.Refresh)...))
			require.Equal(t, 1, len(wins), "round %d", round)
			won, failed = won+len(wins), failed+fives
			r.ended(t, user, append(wins, first))
		}
		require.Zero(t, failed)
		figure(t, "S-53", fmt.Sprintf("retry_window = 0, %d rounds of %d uses by last-byte sync over 2 nodes: %d successes, %d × 5xx, 0 sessions alive after the reuse", rounds, uses, won, failed),
			"exactly 1 success a round, 0 × 5xx")
	})
	t.Run("S-53 V-01 RT-16 with a retry window: 32 uses give one and the same pair, and there is one session", func(t *testing.T) {
		d := deploy(t, single(s.Addr))
		r := newRace(t, d)
		now, states, failed := r.login(t.Context(), r.nodes[0], "user-20"), 0, 0
		for round := range rounds {
			wins, fives := r.count(r.at(r.repeat(now.Refresh)...))
			require.Len(t, wins, uses, "round %d", round)
			pairs := map[[2]string]bool{}
			for _, w := range wins {
				pairs[[2]string{w.Access, w.Refresh}] = true
			}
			require.Len(t, pairs, 1, "round %d", round)
			now, states, failed = wins[0], states+len(pairs), failed+fives
		}
		require.Zero(t, failed)
		require.Equal(t, 1, d.sessions(t, "user-20"))
		require.True(t, r.introspect(t.Context(), r.nodes[1], now.Access).Active)
		figure(t, "S-53", fmt.Sprintf("retry_window by default, %d rounds of %d uses by last-byte sync over 2 nodes: %d new states, each answered to all; %d × 5xx, 1 session alive", rounds, uses, states, failed),
			"1 new state a round, 0 × 5xx")
	})
	t.Run("S-53 RV-17 a logout among 31 refreshes leaves no session and no token alive", func(t *testing.T) {
		d := deploy(t, single(s.Addr))
		r := newRace(t, d)
		given, failed := 0, 0
		for round := range 2 * rounds {
			first := r.login(t.Context(), r.nodes[round%2], "user-21")
			forms := r.repeat(first.Refresh)
			forms[round] = asked{"/oauth2/revoke", url.Values{"client_id": {"app"}, "token": {first.Refresh}}}
			wins, fives := r.count(r.at(forms...))
			given, failed = given+len(wins)-1, failed+fives // one of them is the revocation's
			r.ended(t, "user-21", append(wins, first))
		}
		require.Zero(t, failed)
		figure(t, "S-53", fmt.Sprintf("a logout among %d refreshes at once, %d rounds over 2 nodes: %d refreshes won the race; %d × 5xx, 0 sessions and 0 of their tokens alive after", uses-1, 2*rounds, given, failed),
			"0 sessions alive")
	})
}

// race is a deployment of two nodes.
type race struct {
	*caller
	t     *testing.T
	nodes []*node
}

func newRace(t *testing.T, d *deployment) *race {
	return &race{newCaller(d), t, []*node{d.serve(t), d.serve(t)}}
}

// repeat is one refresh over and over.
func (r *race) repeat(token string) (list []asked) {
	for range uses {
		list = append(list, asked{"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token}}})
	}
	return list
}

// at sends forms to the nodes by turns, each over a connection of its own: first all but the last
// byte of all of them, then these at once.
func (r *race) at(forms ...asked) []answer {
	r.t.Helper()
	answers := make([]answer, len(forms))
	var all, ready sync.WaitGroup
	begin := make(chan struct{})
	ready.Add(len(forms))
	for i, f := range forms {
		conn := dialNode(r.t, r.nodes[i%len(r.nodes)])
		body := f.form.Encode()
		request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", f.path, len(body), body)
		all.Go(func() {
			defer conn.Close()
			last := len(request) - 1
			_, err := io.WriteString(conn, request[:last])
			ready.Done()
			<-begin
			if err == nil {
				_, err = io.WriteString(conn, request[last:])
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answers[i] = readAnswer(conn, err)
		})
	}
	ready.Wait()
	time.Sleep(20 * time.Millisecond) // so that the nodes hold all of them; if not, the race is only less close
	close(begin)
	all.Wait()
	return answers
}

func readAnswer(conn io.Reader, err error) (a answer) {
	if err != nil {
		return answer{err: err}
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	a.status, a.header, a.body, a.err = res.StatusCode, res.Header, string(body), err
	return a
}

// count returns those that were answered 200, and how many got neither that nor a refusal.
func (r *race) count(list []answer) (wins []answer, fives int) {
	for _, a := range list {
		switch {
		case a.status == 200:
			wins = append(wins, a)
		case a.status != 400 || a.Code != "invalid_grant":
			r.t.Logf("%d %s %v", a.status, a.body, a.err)
			fives++
		}
	}
	return wins, fives
}

// ended demands that a user has no session, and that nothing which was given is of any use at any
// node.
func (r *race) ended(t *testing.T, user string, given []answer) {
	t.Helper()
	require.Zero(t, r.d.sessions(t, user), "a session is alive")
	for i, a := range given {
		n := r.nodes[i%len(r.nodes)]
		if a.Access != "" {
			require.Equal(t, `{"active":false}`, r.introspect(t.Context(), n, a.Access).body)
			require.Equal(t, "invalid_grant", r.refresh(t.Context(), n, a.Refresh).Code)
		}
	}
}
