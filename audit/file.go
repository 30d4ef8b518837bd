package audit

import (
	"os"
	"sync"
)

// File is a file that a trail is appended to, and that may be put aside: whoever does so calls Reopen. It may be used by any
// number of goroutines.
type File struct {
	name string

	mu sync.Mutex
	f  *os.File
}

// OpenFile opens a file, and makes it where there is none.
func OpenFile(name string) (*File, error) {
	f, err := appendTo(name)
	if err != nil {
		return nil, err
	}
	return &File{name: name, f: f}, nil
}

func appendTo(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640) // #nosec G302 G304 -- the operator's; its group may read it, and ship it
}

// Write implements io.Writer.
func (a *File) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.f.Write(p)
}

// Reopen goes on with the file that has the name now; after an error with the old one.
func (a *File) Reopen() error {
	next, err := appendTo(a.name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.f
	a.f = next
	return old.Close()
}

// Close closes the file.
func (a *File) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.f.Close()
}
