package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

func (p Program) secretCommand() *cobra.Command {
	var asJSON bool
	fresh := &cobra.Command{Use: "new", Short: "Make a client secret of 256 random bits, and its hash for config.toml", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			secret := tokens.NewSecret()
			hash := clients.HashSecret(secret).String()
			return answer(c, asJSON, map[string]string{"client_secret": secret, "hash": hash},
				fmt.Sprintf("secret  %s\nhash    %s\n", secret, hash))
		}}
	fresh.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return group("secret", "Make client secrets", fresh)
}

func (p Program) hashSecretCommand() *cobra.Command {
	var stdin, asJSON, weak bool
	c := &cobra.Command{Use: "hash-secret", Short: "Print the hash of a client secret that is typed or piped", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			secret, err := p.readSecret(c, "client secret: ", stdin)
			if err != nil {
				return err
			}
			hash, err := hashOf(secret, weak)
			if err != nil {
				return err
			}
			return answer(c, asJSON, map[string]string{"hash": hash}, hash+"\n")
		}}
	c.Flags().BoolVar(&weak, "weak", false, "take a secret that somebody chose, and print its argon2id hash")
	c.Flags().BoolVar(&stdin, "secret-stdin", false, "read it from standard input")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

// hashOf returns the hash of a secret. SHA-256 cannot protect a weak one: it gets a slow hash.
func hashOf(secret string, weak bool) (string, error) {
	if !weak {
		return clients.HashSecret(secret).String(), strongSecret(secret)
	}
	if err := clients.CheckSecret(secret); err != nil {
		return "", usageError{err}
	}
	return users.HashSecret(secret), nil
}

// strongSecret refuses what SHA-256 cannot protect: a word that somebody chose (RFC 6749 §10.10).
func strongSecret(secret string) error {
	if err := clients.CheckSecret(secret); err != nil {
		return usageError{err}
	}
	if !clients.StrongSecret(secret) {
		return usageError{errors.New(`this secret is too short or too regular for SHA-256. It needs 128 random bits, so at least 22 characters; "grantor secret new" makes one`)}
	}
	return nil
}

// readSecret reads one line: from a terminal without echo, or from standard input when the flag
// says so or it is no terminal.
func (p Program) readSecret(c *cobra.Command, prompt string, stdin bool) (string, error) {
	if f, ok := p.Stdin.(*os.File); ok && !stdin && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.ErrOrStderr(), prompt)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		return string(text), err
	}
	line, err := bufio.NewReader(io.LimitReader(p.Stdin, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	text, err := config.WithoutBOM([]byte(line)) // PowerShell pipes one
	if err != nil {
		return "", usageError{fmt.Errorf("standard input %w", err)}
	}
	line = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if line == "" {
		return "", usageError{errors.New("nothing came from standard input")}
	}
	return line, nil
}

func (p Program) hashPasswordCommand() *cobra.Command {
	var stdin, asJSON bool
	c := &cobra.Command{Use: "hash-password", Short: "Print the argon2id hash of a password that is typed or piped", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			hash, err := p.newPassword(c, stdin)
			if err != nil {
				return err
			}
			return answer(c, asJSON, map[string]string{"password_hash": hash}, hash+"\n")
		}}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read it from standard input")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

// newPassword reads a password and returns its hash.
func (p Program) newPassword(c *cobra.Command, stdin bool) (string, error) {
	password, err := p.readSecret(c, "password: ", stdin)
	if err != nil {
		return "", err
	}
	if err := users.CheckNewPassword(password); err != nil {
		return "", usageError{err}
	}
	return users.Hash(password)
}
