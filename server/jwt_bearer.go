package server

// exchangeAssertion issues a token for a JWT of a trusted issuer (RFC 7523 §2.1). It is a token
// exchange whose subject token is such a JWT: the policy, the new token and what ends it are the
// same. There is no refresh token (RFC 7521 §4.1), and no actor token. RFC 7521 §4.1 leaves it to
// the server whether the client authenticates; here it does, since the policy is a client's.
func (s *Server) exchangeAssertion(x *exchange) (issuedTokens, error) {
	e := &tokenExchange{subjectType: tokenTypeJWT, assertion: true}
	if x.client.Public() {
		return issuedTokens{}, refusal(codeUnauthorizedClient, "only a client that authenticates may use the JWT bearer grant")
	}
	assertion := x.form.Get("assertion")
	issuer := s.cfg.Assertions.IssuerOf(assertion)
	if issuer == "" {
		return issuedTokens{}, e.refused(reasonSubjectInactive, errNoIssuer)
	}
	if err := s.readForeign(x, e, issuer, assertion); err != nil {
		return issuedTokens{}, err
	}
	if !x.client.MayImpersonate() {
		e.actor = x.client
	}
	return s.issueExchanged(x, e)
}
