package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/grantor-auth/grantor/internal/address"
)

// ErrNetworkNotAllowed is what a Verifier returns for an API key that is sent from an address that
// the key does not allow, or that nobody knows. It wraps ErrInvalidToken.
var ErrNetworkNotAllowed = fmt.Errorf("%w: not allowed from this network", ErrInvalidToken)

type addressKey struct{}

// WithClientAddress says from where a token is sent, to a Verifier that is called without a Guard,
// as by an interceptor of gRPC. A Guard says it by itself.
func WithClientAddress(ctx context.Context, from netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, from)
}

// ClientAddress returns the address from which a token is sent; it is not valid where nobody knows.
func ClientAddress(ctx context.Context) netip.Addr {
	from, _ := ctx.Value(addressKey{}).(netip.Addr)
	return from
}

// FromAllowedNetwork returns the token, unless it is an API key that may not be used from the
// address of ctx: then ErrNetworkNotAllowed. Each Verifier of Grantor ends with it.
func FromAllowedNetwork(ctx context.Context, t *Token) (*Token, error) {
	if t == nil || len(t.AllowedNetworks) == 0 {
		return t, nil
	}
	from := address.Plain(ClientAddress(ctx))
	if from.IsValid() && address.Networks(t.AllowedNetworks).Contain(from) {
		return t, nil
	}
	return nil, fmt.Errorf("%w: API key %s of client %s, sent from %s", ErrNetworkNotAllowed, t.ID, t.ClientID, from)
}

// networksOf reads allowed_networks of an answer. What cannot be read allows no address.
func networksOf(list []string) (address.Networks, error) {
	networks, err := address.ParseNetworks(list)
	if err != nil {
		return nil, fmt.Errorf("introspection: allowed_networks: %w", err)
	}
	return networks, nil
}

// addressOf returns what finds the client's address in a request.
func (cfg *Config) addressOf() (func(*http.Request) netip.Addr, error) {
	if cfg.ClientAddress != nil {
		if len(cfg.TrustedProxies) > 0 {
			return nil, errors.New("middleware: give either ClientAddress or TrustedProxies")
		}
		return cfg.ClientAddress, nil
	}
	proxies, err := address.ParseNetworks(cfg.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("middleware: TrustedProxies: %w", err)
	}
	return func(r *http.Request) netip.Addr {
		from, doubt := proxies.ClientOf(address.PeerOf(r), r.Header)
		if doubt.Hides() {
			return netip.Addr{}
		}
		return from
	}, nil
}
