package tokens

import (
	"encoding/base64"
	"strings"
)

// deviceScope begins the scope token that holds the name of a device in a session's record. As with
// digestScope, older versions read the record and leave the token out.
const deviceScope = " grantor:device:"

// scopeWithDevice returns the scope of a session, and behind it the device's name where there is
// one and older versions can read both.
func scopeWithDevice(s *Session) string {
	name := base64.RawURLEncoding.EncodeToString([]byte(s.Device))
	if name == "" || s.Scope == "" || len(s.Scope)+len(deviceScope)+len(name) > maxScopeBytes ||
		strings.Count(s.Scope, " ")+2 > maxScopeTokens {
		return s.Scope
	}
	return s.Scope + deviceScope + name
}

// cutDevice reads what scopeWithDevice wrote.
func cutDevice(text string) (scope, device string) {
	scope, name, found := strings.Cut(text, deviceScope)
	decoded, err := base64.RawURLEncoding.DecodeString(name)
	if !found || err != nil {
		return text, ""
	}
	return scope, string(decoded)
}
