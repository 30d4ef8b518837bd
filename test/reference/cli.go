package reference

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grantor-auth/grantor/internal/cli"
)

// commandOrder is the order of the page: by use. What is not listed comes last.
func commandOrder() []string {
	return []string{"serve", "config", "client", "user", "token", "keys", "feed", "gate", "secret", "hash-secret", "hash-password", "reload", "health", "doctor", "status", "version", "completion"}
}

// commandSections writes a section for each command, and names commands without an example.
func commandSections() (list, sections string, complaints []string) {
	root := cli.Commands()
	var top []*cobra.Command
	for _, name := range commandOrder() {
		for _, c := range root.Commands() {
			if c.Name() == name {
				top = append(top, c)
			}
		}
	}
	for _, c := range root.Commands() {
		if !strings.Contains(" "+strings.Join(commandOrder(), " ")+" ", " "+c.Name()+" ") {
			top = append(top, c)
		}
	}
	var b strings.Builder
	var rows [][]string
	var write func(c *cobra.Command)
	write = func(c *cobra.Command) {
		rows = append(rows, []string{fmt.Sprintf("[`%s`](#%s)", c.CommandPath(), commandAnchor(c)), c.Short})
		commandSection(&b, c)
		if !c.HasSubCommands() && c.Example == "" {
			complaints = append(complaints, c.CommandPath()+" has no example: add it to internal/cli/examples.go")
		}
		for _, sub := range c.Commands() {
			write(sub)
		}
	}
	for _, c := range top {
		write(c)
	}
	return table([]string{"command", "what it does"}, rows), b.String(), complaints
}

func commandAnchor(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// commandSection writes what --help says of a command.
func commandSection(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "%s\n\n### `%s`\n\n%s.\n\n", anchorOf(commandAnchor(c)), c.CommandPath(), c.Short)
	if c.Long != "" {
		fmt.Fprintf(b, "```text\n%s\n```\n\n", strings.TrimSpace(c.Long))
	}
	if !c.HasSubCommands() {
		fmt.Fprintf(b, "```text\n%s\n```\n\n", c.UseLine())
	}
	var rows [][]string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			rows = append(rows, flagRow(f))
		}
	})
	if len(rows) > 0 {
		b.WriteString(table([]string{"flag", "value", "meaning"}, rows) + "\n")
	}
	if shared := c.Parent(); c.HasInheritedFlags() {
		fmt.Fprintf(b, "The flags of [`%s`](#%s) hold here too.\n\n", shared.CommandPath(), commandAnchor(shared))
	}
	if c.Example != "" {
		fmt.Fprintf(b, "Example:\n\n```sh\n%s\n```\n\n", strings.ReplaceAll(strings.TrimSpace(c.Example), "\n  ", "\n"))
	}
}

// flagRow is a line of the table of flags, in the words of --help.
func flagRow(f *pflag.Flag) []string {
	name := "`--" + f.Name + "`"
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	value, usage := pflag.UnquoteUsage(f)
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
		usage += " (default " + quoted(f.DefValue) + ")"
	}
	return []string{name, value, usage}
}
