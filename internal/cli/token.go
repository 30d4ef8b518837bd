package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/server"
)

// tokenFlags are shared by the commands below, which act as a client of any server that follows the
// RFCs.
type tokenFlags struct {
	issuer, method, caFile           string
	grant, scope, username, resource string
	passwordStdin, asJSON            bool
}

// tokenCommand asks an authorization server as a client: GRANTOR_CLIENT_ID and
// GRANTOR_CLIENT_SECRET say which.
func (p Program) tokenCommand() *cobra.Command {
	f, o := &tokenFlags{}, &operatorFlags{}
	of := func(use, short string, run func(*cobra.Command, *tokenClient) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: noArguments, RunE: func(c *cobra.Command, _ []string) error {
			if err := f.checkGrant(); err != nil {
				return err
			}
			if o.asOperator {
				return p.asOperator(c, f, o, func(s *server.Server, trail *commandTrail) error {
					return p.tokenRevokeAny(c, s, trail, f.asJSON)
				})
			}
			if o.path != "" {
				return usageError{errors.New("--config is for --as-operator")}
			}
			client, err := p.newTokenClient(c.Context(), f)
			if err != nil {
				return err
			}
			return run(c, client)
		}}
	}
	issue := of("issue", "Get a token; prints the access token alone, or with --json the whole answer", p.tokenIssue)
	issue.Flags().StringVar(&f.grant, "grant", "client_credentials", "client_credentials, password or refresh_token")
	issue.Flags().StringVar(&f.scope, "scope", "", "the scopes to ask for")
	issue.Flags().StringVar(&f.resource, "resource", "", "the API that the token is for (RFC 8707)")
	issue.Flags().StringVar(&f.username, "username", "", "with --grant password")
	issue.Flags().BoolVar(&f.passwordStdin, "password-stdin", false, "read the password, or the refresh token, from standard input")
	introspect := of("introspect", "Ask whether the token on standard input is good: exit 0 active, 1 not (RFC 7662)", p.tokenIntrospect)
	revoke := of("revoke", "End the token on standard input (RFC 7009)", p.tokenRevoke)
	revoke.Flags().BoolVar(&o.asOperator, "as-operator", false, "end a token of any client in the configured store; a refresh token ends its session")
	revoke.Flags().StringVar(&o.path, "config", "", "with --as-operator: the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g := group("token", "Issue, introspect and revoke tokens as a client; explain them as the operator", issue, introspect, revoke, p.explainCommand(f, o))
	g.Long = "Issue, introspect and revoke tokens as a client of any server that follows the RFCs.\nGRANTOR_CLIENT_ID and GRANTOR_CLIENT_SECRET in the environment say which client asks.\n" +
		"explain, and revoke --as-operator, ask the store of the configuration instead."
	g.PersistentFlags().StringVar(&f.issuer, "issuer", "", "the server, as it calls itself; its metadata says where everything is (RFC 8414)")
	g.PersistentFlags().StringVar(&f.method, "auth-method", "basic", "basic, post or none")
	g.PersistentFlags().StringVar(&f.caFile, "ca-file", "", "PEM of the authorities to trust (default: the system's)")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	oneOf(g, "auth-method", "basic", "post", "none")
	oneOf(issue, "grant", "client_credentials", "password", "refresh_token")
	return g
}

// oneOf lets the shell complete a flag's value.
func oneOf(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// checkGrant refuses a wrong call before any server is asked. Without a grant the command is
// another one.
func (f *tokenFlags) checkGrant() error {
	switch {
	case !slices.Contains([]string{"client_credentials", "password", "refresh_token"}, f.grant):
		return usageError{errors.New("--grant must be client_credentials, password or refresh_token")}
	case (f.grant == "password") != (f.username != ""):
		return usageError{errors.New("--grant password needs --username, and nothing else does")}
	}
	return nil
}

func (p Program) tokenIssue(c *cobra.Command, t *tokenClient) error {
	form := url.Values{"grant_type": {t.flags.grant}}
	for name, value := range map[string]string{"scope": t.flags.scope, "resource": t.flags.resource, "username": t.flags.username} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if t.flags.grant != "client_credentials" { // the parameter of each of the others is called as its grant
		secret, err := p.readSecret(c, strings.ReplaceAll(t.flags.grant, "_", " ")+": ", t.flags.passwordStdin)
		if err != nil {
			return err
		}
		form.Set(t.flags.grant, secret)
	}
	reply, err := t.post(c.Context(), t.meta.TokenEndpoint, form)
	if err != nil {
		return err
	}
	access, _ := reply["access_token"].(string)
	if access == "" || strings.ContainsFunc(access, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return errors.New("the server's answer has no access_token (RFC 6749 §5.1, App. A.12)")
	}
	return answer(c, t.flags.asJSON, reply, access+"\n")
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
	reply, err := t.post(c.Context(), t.meta.IntrospectionEndpoint, url.Values{"token": {token}, "allowed_networks": {"true"}})
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(reply)) {
		fmt.Fprintf(&lines, "%-10s  %s\n", printable.Text(name), valueText(reply[name]))
	}
	if err := answer(c, t.flags.asJSON, reply, lines.String()); err != nil {
		return err
	}
	if reply["active"] != true {
		return errQuiet
	}
	return nil
}

// valueText writes a value of a server's answer on one line of a terminal.
func valueText(v any) string {
	if text, ok := v.(string); ok {
		return printable.Text(text)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return printable.Text(string(text))
}

func (p Program) tokenRevoke(c *cobra.Command, t *tokenClient) error {
	token, err := p.readToken(c)
	if err != nil {
		return err
	}
	if _, err := t.send(c.Context(), t.meta.RevocationEndpoint, url.Values{"token": {token}}); err != nil { // RFC 7009 §2.2: the status says it all
		return err
	}
	return answer(c, t.flags.asJSON, map[string]any{"ok": true}, "the token is revoked if it was issued to this client\n")
}
