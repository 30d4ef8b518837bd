// Command notes prints the section of a version in CHANGELOG.md: the notes of a release.
//
//	go run -C test/release ./notes -version 0.9.0
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
)

func main() {
	log.SetFlags(0)
	version := flag.String("version", "", "the version, such as 0.9.0")
	file := flag.String("changelog", "../../CHANGELOG.md", "the file")
	flag.Parse()
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	notes, err := section(string(text), *version)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(notes)
}

// section returns the text below "## VERSION (date)", with links that lead from anywhere.
func section(text, version string) (string, error) {
	heading := regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(version) + ` \(\d{4}-\d{2}-\d{2}\)$`).FindStringIndex(text)
	if version == "" || heading == nil {
		return "", fmt.Errorf("CHANGELOG.md has no section \"## %s (YYYY-MM-DD)\"", version)
	}
	body, _, _ := strings.Cut(text[heading[1]:], "\n## ")
	links := regexp.MustCompile(`\]\(([A-Za-z][^):]*)\)`)
	tree := "https://github.com/grantor-auth/grantor/blob/v" + version + "/"
	return strings.TrimSpace(links.ReplaceAllString(body, "]("+tree+"$1)")) + "\n", nil
}
