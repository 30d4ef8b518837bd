package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// File is a file that events are appended to. Log rotation may rename it and then calls Reopen. It
// may be used by any number of goroutines.
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

// JoinFile is OpenFile for a command beside the server. It never blocks. A file that it creates as
// root belongs to the owner of the folder: otherwise the node could not open the trail.
func JoinFile(name string) (*File, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if made, err := makeFile(name); !errors.Is(err, fs.ErrExist) { // else another process was first
			return made, err
		}
		info, err = os.Stat(name)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe may have no reader
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0) // #nosec G304 -- the operator's
	if err != nil {
		return nil, err
	}
	return &File{name: name, f: f}, nil
}

// makeFile creates a file that must not exist yet, so that no prepared link leads root to another
// file.
func makeFile(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640) // #nosec G302 G304 -- as in appendTo
	if err != nil {
		return nil, err
	}
	if err := giveAway(f, filepath.Dir(name)); err != nil {
		return nil, errors.Join(err, f.Close())
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

// Reopen continues with the file that has the name now; after an error, with the old file.
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
