package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/parts"
)

// checkIssuers fetches the keys of each trusted issuer, as a node does for the first JWT of that
// issuer.
func checkIssuers(ctx context.Context, s *subject) (found []Finding) {
	for _, t := range s.cfg.Issuers {
		n, err := fetchKeys(ctx, s.cfg, t)
		const cure = "let this machine reach it, or correct issuer, jwks_uri, ca_file and token_file in [[trusted_issuers]]"
		switch {
		case err != nil:
			found = append(found, fault(fmt.Sprintf("the keys of the trusted issuer %s cannot be fetched: %s", t.Issuer, err), cure))
		case n == 0:
			found = append(found, fault(fmt.Sprintf("the trusted issuer %s has no key that can be used", t.Issuer), cure))
		}
	}
	return orOK(found, fmt.Sprintf("the keys of %d trusted issuers can be fetched", len(s.cfg.Issuers)))
}

func fetchKeys(ctx context.Context, cfg *config.Config, t config.TrustedIssuer) (int, error) {
	never := func(context.Context, string, time.Duration) (bool, error) { return false, nil } // no assertion is looked at
	c, err := assertions.New(parts.Assertions(cfg, never, t))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.FetchKeys(ctx, t.Issuer)
}
