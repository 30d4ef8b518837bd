package server

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/grantor-auth/grantor/internal/printable"
)

// maxDeviceName is the longest name of a device, in characters.
const maxDeviceName = 64

// deviceName returns what the app calls the device of a login, for the user's list of sessions; ""
// where it does not say.
func deviceName(form url.Values) (string, error) {
	name := strings.TrimSpace(form.Get("device_name"))
	switch {
	case utf8.RuneCountInString(name) > maxDeviceName:
		return "", refusal(codeInvalidRequest, "device_name is longer than %d characters", maxDeviceName)
	case printable.CheckName(name) != nil:
		return "", refusal(codeInvalidRequest, "device_name %s", printable.ErrNotPrintable)
	case printable.Redact(name) != name:
		return "", refusal(codeInvalidRequest, "device_name holds a token or a secret; send a name that the user knows the device by")
	}
	return name, nil
}
