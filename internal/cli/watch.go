package cli

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"github.com/grantor-auth/grantor/config"
)

// sources are the files that a configuration is read from, and the patterns that a new one may
// match.
type sources struct {
	files    []string
	patterns []string
}

func sourcesOf(cfg *config.Config) sources {
	s := sources{patterns: cfg.Patterns()}
	s.files = append(slices.Clone(cfg.Files), cfg.SecretFiles...)
	if cfg.TLS.Mode == "files" {
		s.files = append(s.files, cfg.TLS.CertFile, cfg.TLS.KeyFile)
	}
	if cfg.TLS.ClientCAFile != "" {
		s.files = append(s.files, cfg.TLS.ClientCAFile)
	}
	for _, p := range s.patterns {
		found, _ := filepath.Glob(p) // config told of a malformed one
		s.files = append(s.files, found...)
	}
	slices.Sort(s.files)
	s.files = slices.Compact(s.files)
	return s
}

// paths are the files, and every symbolic link on the way to them: Kubernetes and deployments put a
// folder in the place of another by changing a link.
func (s sources) paths() (list []string) {
	for _, f := range s.files {
		list = append(list, links(f)...)
	}
	return list
}

// links returns a path, and what it is when one link after the other is followed.
func links(path string) []string {
	list := []string{filepath.Clean(path)}
	for range 40 { // as the kernel does
		next, link := follow(list[len(list)-1])
		if next == "" {
			return list
		}
		list[len(list)-1] = link
		list = append(list, next)
	}
	return list
}

// follow finds the first link in a path, and returns the path without it, and the link itself; ""
// when there is none.
func follow(path string) (next, link string) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != filepath.Separator {
			continue
		}
		target, err := os.Readlink(path[:i])
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path[:i]), target)
		}
		return filepath.Join(target, path[i:]), path[:i]
	}
	return "", ""
}

// folders are where something may change: editors, and Kubernetes, put another file in the place of
// the old one.
func (s sources) folders() (list []string) {
	for _, p := range s.paths() {
		list = append(list, filepath.Dir(p))
	}
	for _, p := range s.patterns {
		found, _ := filepath.Glob(filepath.Dir(p))
		list = append(list, found...)
	}
	return list
}

// watched is what events are held against; a busy folder has many.
type watched struct {
	paths    map[string]bool
	patterns []string
}

func (s sources) watched() watched {
	w := watched{paths: map[string]bool{}, patterns: s.patterns}
	for _, p := range s.paths() {
		w.paths[p] = true
	}
	return w
}

// concern says whether an event in a folder is about one of the files. A log beside them is not.
func (w watched) concern(e fsnotify.Event) bool {
	name := filepath.Clean(e.Name)
	return w.paths[name] || slices.ContainsFunc(w.patterns, func(p string) bool {
		matched, _ := filepath.Match(p, name)
		folder, _ := filepath.Match(filepath.Dir(p), name)
		return matched || folder
	})
}
