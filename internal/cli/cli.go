// Package cli is the command line: one file per command. Answers go to stdout, everything else
// to stderr. A command exits 0 when it is done, 1 when it failed, 2 when the call or the
// configuration is wrong; "status" has 3, see there. Secrets are never arguments.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/printable"
)

// Program is what a run of the command line is given.
type Program struct {
	Args     []string
	Environ  []string
	Shipped  []byte // the config.toml of the source tree
	Version  string // "0.9.0"; "": what Go noted in the binary
	Revision string // the commit; "": likewise
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
}

// usageError is a wrong call or configuration: exit 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// quietError has been told already: it decides the exit status alone.
var errQuiet = errors.New("")

// exitError is an exit status beyond 1 and 2, of a command that says what it means.
type exitError struct {
	error
	status int
}

// Main runs one command and returns its exit status.
func Main(p Program) int {
	root := p.root()
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	strictCompletion(root)
	p.completeValues(root)
	c, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return 0
	}
	p.tell(c, err)
	if other, is := errors.AsType[exitError](err); is {
		return other.status
	}
	_, usage := errors.AsType[usageError](err)
	_, unread := errors.AsType[config.Errors](err)
	_, unopened := errors.AsType[parts.ConfigError](err)
	if usage || unread || unopened {
		return 2
	}
	return 1
}

func (p Program) root() *cobra.Command {
	serve := p.serveCommand()
	root := &cobra.Command{
		Use:   "grantor",
		Short: "An OAuth 2.0 token server for machines, first-party apps, and the APIs that they call",
		Long: "Grantor is an OAuth 2.0 token server for machines, first-party apps, and the APIs that they call.\n" +
			"Without a command it serves, as \"grantor serve\" does.",
		Args:          noArguments,
		Version:       p.version(),
		RunE:          serve.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().AddFlagSet(serve.Flags())
	root.SetVersionTemplate(p.versionLine())
	root.SetFlagErrorFunc(unknownFlag)
	root.AddCommand(serve, p.configCommand(), p.secretCommand(), p.hashSecretCommand(), p.hashPasswordCommand(), p.clientCommand(), p.apiKeyCommand(), p.importCommand(), p.userCommand(), p.tokenCommand(), p.keysCommand(), p.feedCommand(), p.consoleCommand(), p.reloadCommand(), p.healthCommand(), p.doctorCommand(), p.statusCommand(), p.gateCommand(), p.versionCommand())
	return root
}

// strictCompletion makes cobra's own command refuse what it does not know, with exit 2 as
// everywhere. Cobra notes there where the answer goes, so it comes after SetOut. Every command is
// there then, and gets its example.
func strictCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil && c != root {
		shells := c.Commands()
		c.ResetCommands()
		root.RemoveCommand(c)
		for _, shell := range shells {
			shell.Args = noArguments
		}
		root.AddCommand(group("completion", c.Short, shells...))
	}
	exemplify(root)
}

// noArguments refuses arguments, with exit 2.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownWord(c, args[0])
	}
	return nil
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: noArguments, RunE: func(c *cobra.Command, _ []string) error {
		return needed(c)
	}}
	g.AddCommand(commands...)
	return g
}

// variable returns a variable of the environment, "" when it is unset.
func (p Program) variable(name string) string {
	for _, entry := range p.Environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// configPath says which file is the configuration: the flag, GRANTOR_CONFIG, ./config.toml.
func (p Program) configPath(flag string) string {
	if flag != "" {
		return flag
	}
	if v := p.variable("GRANTOR_CONFIG"); v != "" {
		return v
	}
	return "config.toml"
}

// answer prints v as JSON, or as text.
func answer(c *cobra.Command, asJSON bool, v any, text string) error {
	if !asJSON {
		_, err := fmt.Fprint(c.OutOrStdout(), printable.Lines(text))
		return err
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = c.OutOrStdout().Write(append(printable.JSON(out), '\n'))
	return err
}

// shown is a text for standard error, which may quote what others wrote, or a secret that somebody
// typed as a name.
func shown(text string) string { return printable.Lines(printable.RedactTyped(text)) }
