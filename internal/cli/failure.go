package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/nearest"
	"github.com/grantor-auth/grantor/internal/printable"
)

// failure is what a command that was asked for JSON says of its error: one line, the last one on
// standard error. Standard output may hold an answer as well, such as the secret of a rotation that
// was made and is not confirmed.
type failure struct {
	Error string `json:"error"` // what is wrong
	Fix   string `json:"fix"`   // what would be right; "": it is not known
}

// tell writes the error of a command, as text or as JSON.
func (p Program) tell(c *cobra.Command, err error) {
	text := printable.RedactTyped(err.Error())
	switch {
	case text == "":
	case askedForJSON(c, p.Args):
		_, _ = p.Stderr.Write(failureOf(c, err, text).line())
	default:
		fmt.Fprintln(p.Stderr, "grantor: "+strings.ReplaceAll(printable.Lines(text), "\n", "\ngrantor: "))
	}
}

// askedForJSON says whether the call has --json, also where a mistake kept it from being read.
func askedForJSON(c *cobra.Command, args []string) bool {
	f := c.Flag("json")
	return f != nil && (f.Value.String() == "true" || !f.Changed && slices.Contains(args, "--json"))
}

// failureOf parts an error of one line at its last semicolon: in this house the cure stands behind
// it.
func failureOf(c *cobra.Command, err error, text string) failure {
	if _, many := errors.AsType[config.Errors](err); many {
		return failure{text, `correct what "error" names; "grantor config check" says whether the file is sound`}
	}
	if i := strings.LastIndex(text, "; "); i > 0 && !strings.Contains(text, "\n") {
		return failure{text[:i], text[i+2:]}
	}
	if _, usage := errors.AsType[usageError](err); usage {
		return failure{text, "see " + c.CommandPath() + " --help"}
	}
	return failure{Error: text}
}

func (f failure) line() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return nil
	}
	return append(printable.JSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), '\n')
}

// unknownFlag names the flag that may have been meant.
func unknownFlag(c *cobra.Command, err error) error {
	unknown, is := errors.AsType[*pflag.NotExistError](err)
	if !is {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	}
	var known []string
	for _, set := range []*pflag.FlagSet{c.Flags(), c.InheritedFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				known = append(known, f.Name)
			}
		})
	}
	if name := meant(unknown.GetSpecifiedName(), known); name != "" {
		return usageError{fmt.Errorf("%w of %s; did you mean --%s?", err, c.CommandPath(), name)}
	}
	return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
}

// unknownWord refuses an argument, and names the command that may have been meant.
func unknownWord(c *cobra.Command, word string) error {
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	if name := meant(word, known); name != "" {
		return usageError{fmt.Errorf("%q is no command or argument of %s; did you mean %q?", word, c.CommandPath(), c.CommandPath()+" "+name)}
	}
	return usageError{fmt.Errorf("%q is no command or argument of %s; see %s --help", word, c.CommandPath(), c.CommandPath())}
}

// meant returns the known name that a longer word is most like; words of two letters are like all.
func meant(word string, known []string) string {
	if len(word) < 3 {
		return ""
	}
	return nearest.Name(word, known)
}

// needed names the sub-commands of a group that was called alone.
func needed(c *cobra.Command) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	return usageError{fmt.Errorf("%s needs one of: %s", c.CommandPath(), strings.Join(names, ", "))}
}
