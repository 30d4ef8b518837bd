package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"log"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/vuln/scan"
)

// message is what govulncheck -format json writes, one after the other:
// golang.org/x/vuln/internal/govulncheck.Message.
type message struct {
	Config *struct {
		Go string `json:"go_version"`
	}
	OSV     *struct{ ID, Summary string } // for every entry about a module in use, whatever its version
	Finding *finding
}

type finding struct {
	OSV   string
	Fixed string  `json:"fixed_version"`
	Trace []frame // from what is vulnerable to who calls it
}

type frame struct {
	Module, Version, Package, Function, Receiver string
	Position                                     struct {
		Filename string
		Line     int
	}
}

// report is what a scan found.
type report struct {
	golang    string            // the version of Go whose standard library was looked at
	summaries map[string]string // of the entries about modules in use, by their ids
	reached   []finding         // by their ids, one for each entry and module: the shortest way there
}

// scanned runs govulncheck. Its own text names up to hundreds of ways to each vulnerability, and
// its exit code does not tell whose it is: so JSON.
func scanned(ctx context.Context, db, tags string, patterns []string) (report, error) {
	c := scan.Command(ctx, append([]string{"-format", "json", "-db", db, "-tags", tags}, patterns...)...)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		return report{}, err
	}
	if err := c.Wait(); err != nil {
		return report{}, err
	}
	return read(&out)
}

// read fails closed: a database without one entry about what is looked at, at least Go itself, is
// none.
func read(r io.Reader) (report, error) {
	got := report{summaries: map[string]string{}}
	shortest := map[string]finding{}
	for d := json.NewDecoder(r); ; {
		var m message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return report{}, err
		}
		switch f := m.Finding; {
		case m.Config != nil:
			got.golang = m.Config.Go
		case m.OSV != nil:
			got.summaries[m.OSV.ID] = m.OSV.Summary
		case f != nil && f.reached():
			id := f.OSV + " " + f.Trace[0].Module
			if known, ok := shortest[id]; !ok || len(f.Trace) < len(known.Trace) {
				shortest[id] = *f
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(shortest)) {
		got.reached = append(got.reached, shortest[id])
	}
	if len(got.summaries) == 0 {
		return report{}, errors.New("the database has no entry about any module in use, nor about Go: it is empty or none")
	}
	return got, nil
}

// reached tells a finding of a call from those of a module that is required or a package that is
// imported.
func (f finding) reached() bool { return len(f.Trace) > 0 && f.Trace[0].Function != "" }

// std says that it is one of the standard library.
func (f finding) std() bool { return f.Trace[0].Module == "stdlib" }

// line says what is vulnerable, where it is mended, and one way that leads there.
func (f finding) line(summary string) string {
	what, who := f.Trace[0], f.Trace[len(f.Trace)-1]
	fixed := "not mended yet"
	if f.Fixed != "" {
		fixed = "mended in " + f.Fixed
	}
	return fmt.Sprintf("%s %s@%s, %s: %s\n    %s:%d: %s reaches %s", f.OSV, what.Package, what.Version, fixed, summary,
		who.Position.Filename, who.Position.Line, who.name(), what.name())
}

func (f frame) name() string {
	parts := []string{path.Base(f.Package), f.Function}
	if f.Receiver != "" {
		parts = []string{parts[0], strings.TrimPrefix(f.Receiver, "*"), f.Function}
	}
	return strings.Join(parts, ".")
}

// verdict prints what can be reached and is an error if there is any that counts; std says whether
// one of the standard library does.
func (r report) verdict(std bool) error {
	for _, f := range r.reached {
		fmt.Println(f.line(r.summaries[f.OSV]))
	}
	others, ofGo := r.count()
	if others > 0 || std && ofGo > 0 {
		return errors.New(r.said())
	}
	if ofGo > 0 {
		log.Print("WARNING: this Go is vulnerable, build what you run with ", r.mended())
	}
	return nil
}

// count says how many of modules and of the standard library can be reached.
func (r report) count() (others, ofGo int) {
	for _, f := range r.reached {
		if f.std() {
			ofGo++
		}
	}
	return len(r.reached) - ofGo, ofGo
}

func (r report) said() string {
	others, ofGo := r.count()
	return fmt.Sprintf("known vulnerabilities of the modules in use and of %s: %d looked at; reached: %d of modules, %d of the standard library",
		r.golang, len(r.summaries), others, ofGo)
}

// mended returns the first Go that mends all that is reached of the standard library and can be
// mended.
func (r report) mended() string {
	newest := r.golang
	for _, f := range r.reached {
		if v := "go" + strings.TrimPrefix(f.Fixed, "v"); f.std() && version.Compare(v, newest) > 0 {
			newest = v
		}
	}
	if newest == r.golang {
		return "one that mends it, when there is one"
	}
	return newest + " or newer"
}
