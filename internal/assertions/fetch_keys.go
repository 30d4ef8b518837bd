package assertions

import (
	"cmp"
	"context"
	"fmt"
)

// FetchKeys asks a trusted issuer for its keys, and returns how many can be used. It is for whoever
// looks for a fault: Verify asks by itself.
func (a *Checker) FetchKeys(ctx context.Context, issuer string) (int, error) {
	source := cmp.Or(a.issuers[issuer], a.domains[issuer])
	if source == nil {
		return 0, fmt.Errorf("%q is no trusted issuer", issuer)
	}
	set, err := source.Keys(ctx, "")
	if err != nil {
		return 0, err
	}
	return set.Len(), nil
}
