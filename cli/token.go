package cli

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// tokenFlags are shared by the commands below, which act as a client of any server that follows the RFCs.
type tokenFlags struct {
	issuer, method, caFile           string
	grant, scope, username, resource string
	passwordStdin, asJSON            bool
}

// tokenCommand asks an authorization server as a client: GRANTOR_CLIENT_ID and GRANTOR_CLIENT_SECRET say which.
func (p Program) tokenCommand() *cobra.Command {
	f := &tokenFlags{}
	of := func(use, short string, run func(*cobra.Command, *tokenClient) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: noArguments, RunE: func(c *cobra.Command, _ []string) error {
			client, err := p.newTokenClient(c.Context(), f)
			if err != nil {
				return err
			}
			return run(c, client)
		}}
	}
	issue := of("issue", "Get a token; prints the access token alone, or with --json the whole answer", func(c *cobra.Command, t *tokenClient) error { return p.tokenIssue(c, t) })
	issue.Flags().StringVar(&f.grant, "grant", "client_credentials", "client_credentials, password or refresh_token")
	issue.Flags().StringVar(&f.scope, "scope", "", "the scopes to ask for")
	issue.Flags().StringVar(&f.resource, "resource", "", "the API that the token is for (RFC 8707)")
	issue.Flags().StringVar(&f.username, "username", "", "with --grant password")
	issue.Flags().BoolVar(&f.passwordStdin, "password-stdin", false, "read the password, or the refresh token, from standard input")
	introspect := of("introspect", "Ask whether the token on standard input is good: exit 0 active, 1 not (RFC 7662)", p.tokenIntrospect)
	revoke := of("revoke", "End the token on standard input (RFC 7009)", p.tokenRevoke)
	g := group("token", "Issue, introspect and revoke tokens as a client", issue, introspect, revoke)
	g.PersistentFlags().StringVar(&f.issuer, "issuer", "", "the server, as it calls itself; its metadata says where everything is (RFC 8414)")
	g.PersistentFlags().StringVar(&f.method, "auth-method", "basic", "basic, post or none")
	g.PersistentFlags().StringVar(&f.caFile, "ca-file", "", "PEM of the authorities to trust (default: the system's)")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	return g
}

func (p Program) tokenIssue(c *cobra.Command, t *tokenClient) error {
	form := url.Values{"grant_type": {t.flags.grant}}
	for name, value := range map[string]string{"scope": t.flags.scope, "resource": t.flags.resource, "username": t.flags.username} {
		if value != "" {
			form.Set(name, value)
		}
	}
	switch t.flags.grant {
	case "client_credentials":
	case "password", "refresh_token":
		name := map[string]string{"password": "password", "refresh_token": "refresh_token"}[t.flags.grant]
		secret, err := p.readSecret(c, strings.ReplaceAll(name, "_", " ")+": ", t.flags.passwordStdin)
		if err != nil {
			return err
		}
		form.Set(name, secret)
	default:
		return usageError{errors.New("--grant must be client_credentials, password or refresh_token")}
	}
	answer, err := t.post(c.Context(), t.meta.TokenEndpoint, form)
	if err != nil {
		return err
	}
	access, _ := answer["access_token"].(string)
	if access == "" {
		return errors.New("the server's answer has no access_token (RFC 6749 §5.1)")
	}
	return answerToken(c, t.flags.asJSON, answer, access+"\n")
}

// readToken reads a token from standard input, or asks for it on a terminal.
func (p Program) readToken(c *cobra.Command) (string, error) {
	return p.readSecret(c, "token: ", !p.onTerminal())
}

func (p Program) tokenIntrospect(c *cobra.Command, t *tokenClient) error {
	token, err := p.readToken(c)
	if err != nil {
		return err
	}
	answer, err := t.post(c.Context(), t.meta.IntrospectionEndpoint, url.Values{"token": {token}})
	if err != nil {
		return err
	}
	var lines strings.Builder
	names := make([]string, 0, len(answer))
	for name := range answer {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&lines, "%-10s  %v\n", name, answer[name])
	}
	if err := answerToken(c, t.flags.asJSON, answer, lines.String()); err != nil {
		return err
	}
	if answer["active"] != true {
		return errQuiet
	}
	return nil
}

func (p Program) tokenRevoke(c *cobra.Command, t *tokenClient) error {
	token, err := p.readToken(c)
	if err != nil {
		return err
	}
	if _, err := t.post(c.Context(), t.meta.RevocationEndpoint, url.Values{"token": {token}}); err != nil {
		return err
	}
	return answerToken(c, t.flags.asJSON, map[string]any{"ok": true}, "the token is dead, if it was this client's\n")
}

// answerToken is answer, which a variable hides above.
func answerToken(c *cobra.Command, asJSON bool, v any, text string) error {
	return answer(c, asJSON, v, text)
}
