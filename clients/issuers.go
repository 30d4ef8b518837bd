package clients

// A trusted issuer has an entry beside the clients of a configuration, and with it a name in the
// revocation feed, which tokens for its JWTs carry: whoever takes the issuer out of the
// configuration ends the name, at verifiers that follow too. Nobody can be such a client.

// IssuerID is the id of a trusted issuer's entry. No client has it: see CheckID.
func IssuerID(issuer string) string { return "\x00issuer " + issuer }

// Issuers are the entries of trusted issuers, for NewConfigured. Those whose JWTs are never
// exchanged have none.
func Issuers(trusted []string) (list []*Client) {
	for _, issuer := range trusted {
		if IsExchangeable(issuer) {
			list = append(list, &Client{Registration: Registration{ID: IssuerID(issuer), Disabled: true}})
		}
	}
	return list
}

func (c *Client) isIssuer() bool { return c.ID != "" && c.ID[0] == 0 }
