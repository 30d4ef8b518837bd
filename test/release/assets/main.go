// Command assets writes what a release holds beside the binary: a page of the manual for every
// command, completions for four shells, and the unit of systemd for packages.
//
//	go run -C test/release ./assets -version 0.9.0 -output ../../bin/release
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/grantor-auth/grantor/internal/cli"
)

// unit is the unit of the tree, seen from the module's folder.
const unit = "../../deploy/systemd/grantor.service"

func main() {
	log.SetFlags(0)
	version := flag.String("version", "", "the version, such as 0.9.0")
	seconds := flag.Int64("time", 0, "the time of the commit, in seconds since 1970")
	output := flag.String("output", "", "the folder to write")
	flag.Parse()
	if *version == "" || *output == "" {
		log.Fatal("assets needs -version and -output")
	}
	if err := write(*output, *version, time.Unix(*seconds, 0).UTC(), unit); err != nil {
		log.Fatal(err)
	}
}

func write(output, version string, at time.Time, unit string) error {
	if err := os.RemoveAll(output); err != nil {
		return err
	}
	for _, dir := range []string{"man", "completions"} {
		if err := os.MkdirAll(filepath.Join(output, dir), 0o755); err != nil { // #nosec G301 -- what a release publishes
			return err
		}
	}
	return errors.Join(manual(filepath.Join(output, "man"), version, at), completions(filepath.Join(output, "completions")),
		packagedUnit(unit, filepath.Join(output, "grantor.service")))
}

// manual writes a page for every command, compressed as packages have them.
func manual(dir, version string, at time.Time) error {
	root := cli.Commands()
	root.DisableAutoGenTag = true // it has the time of the build
	header := &doc.GenManHeader{Title: "GRANTOR", Section: "1", Source: "Grantor " + version, Manual: "Grantor", Date: &at}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := compress(page); err != nil {
			return err
		}
	}
	return nil
}

// compress puts page.gz in the place of page. It holds neither a name nor a time.
func compress(page string) error {
	text, err := os.ReadFile(page) // #nosec G304 -- written above
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err := errors.Join(err, w.Close(), save(page+".gz", b.Bytes())); err != nil {
		return err
	}
	return os.Remove(page)
}

func completions(dir string) error {
	root := cli.Commands()
	for name, generate := range map[string]func(*cobra.Command, io.Writer) error{
		"grantor.bash": func(c *cobra.Command, w io.Writer) error { return c.GenBashCompletionV2(w, true) },
		"grantor.zsh":  func(c *cobra.Command, w io.Writer) error { return c.GenZshCompletion(w) },
		"grantor.fish": func(c *cobra.Command, w io.Writer) error { return c.GenFishCompletion(w, true) },
		"grantor.ps1":  func(c *cobra.Command, w io.Writer) error { return c.GenPowerShellCompletionWithDesc(w) },
	} {
		var b bytes.Buffer
		if err := errors.Join(generate(root, &b), save(filepath.Join(dir, name), b.Bytes())); err != nil {
			return err
		}
	}
	return nil
}

// packagedUnit is the unit of the tree with the binary where packages put it, and without the words
// on how to install by hand.
func packagedUnit(from, to string) error {
	text, err := os.ReadFile(from) // #nosec G304 -- a file of the tree
	if err != nil {
		return err
	}
	begin := strings.Index(string(text), "[Unit]")
	if begin < 0 || !strings.Contains(string(text), "/usr/local/bin/grantor") {
		return fmt.Errorf("%s has no [Unit], or does not call /usr/local/bin/grantor", from)
	}
	packaged := "# Of the package grantor. Your changes belong into \"systemctl edit grantor\".\n" +
		strings.ReplaceAll(string(text)[begin:], "/usr/local/bin/grantor", "/usr/bin/grantor")
	return save(to, []byte(packaged))
}

func save(name string, text []byte) error {
	return os.WriteFile(name, text, 0o644) // #nosec G306 -- what a release publishes
}
