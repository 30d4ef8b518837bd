package contest

import (
	"encoding/base64"

	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
)

// Issue is client_credentials; its value is "".
func (i *Instance) Issue() load.Kind {
	return i.kind("issue", i.paths.token, basic(rivals.MachineID, rivals.MachineSecret), "grant_type=client_credentials&scope=orders%3Aread")
}

// Introspect takes a token and asks as another client than the one that it was issued to.
func (i *Instance) Introspect() load.Kind {
	k := i.kind("introspect", i.paths.introspect, basic(rivals.APIID, rivals.APISecret), "token=")
	k.Addr = i.place.admin
	return k
}

// Check takes a token: a request with it, to the gate or through the proxy; of the ceiling its
// introspection.
func (i *Instance) Check() load.Kind {
	if len(i.fronts.started) == 0 {
		return i.Introspect()
	}
	return i.fronts.check
}

// Revoke takes a token.
func (i *Instance) Revoke() load.Kind {
	return i.kind("revoke", i.paths.revoke, basic(rivals.MachineID, rivals.MachineSecret), "token=")
}

// LogIn is the password grant; its value is a user's name.
func (i *Instance) LogIn() load.Kind {
	return i.kind("log-in", i.paths.token, basic(rivals.AppID, rivals.AppSecret),
		"grant_type=password&password=correct+horse+battery+staple&scope=orders%3Aread&username=")
}

// Refresh takes a refresh token.
func (i *Instance) Refresh() load.Kind {
	return i.kind("refresh", i.paths.token, basic(rivals.AppID, rivals.AppSecret), "grant_type=refresh_token&refresh_token=")
}

// TokenURL is what a proof for the token endpoint names.
func (i *Instance) TokenURL() string {
	scheme := "http://"
	if i.place.tls != nil {
		scheme = "https://"
	}
	return scheme + i.place.listen + i.paths.token
}

func (i *Instance) kind(name, path, basic, prefix string) load.Kind {
	k := load.Kind{Name: name, Addr: i.place.listen, Path: path, Basic: basic, Prefix: prefix}
	if i.place.tls != nil {
		k.Roots = i.place.tls.roots
	}
	return k
}

func basic(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}
