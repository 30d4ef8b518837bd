package testserver

import (
	"fmt"
	"net/http"
	"sync"
)

// faults are the answers that replace the server's. The zero value replaces none.
type faults struct {
	mu     sync.Mutex
	status int // 0: none
	left   int // requests that get status; 0: all of them
}

// next returns the status of the next answer; 0: the server's own.
func (f *faults) next() (status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status = f.status
	if f.left > 0 {
		if f.left--; f.left == 0 {
			f.status = 0
		}
	}
	return status
}

func (f *faults) set(status, requests int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.left = status, requests
}

// Fail lets the server answer the next requests with a status, such as 503; requests = 0: all of
// them, until Recover. What a test asks of the Server itself goes on.
func (s *Server) Fail(status, requests int) error {
	if status < 200 || status > 599 {
		return fmt.Errorf("%d is no status of HTTP that ends a request: it must be from 200 to 599", status)
	}
	if requests < 0 {
		return fmt.Errorf("%d is no number of requests: it must be positive, or 0 for all", requests)
	}
	s.faults.set(status, requests)
	return nil
}

// Recover ends Fail.
func (s *Server) Recover() { s.faults.set(0, 0) }

// Failing says whether the next request fails, and counts it.
func (s *Server) Failing() bool { return s.faults.next() != 0 }

func fail(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"a test lets this request fail"}`))
}
