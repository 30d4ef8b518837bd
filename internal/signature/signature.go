// Package signature signs the questions that Grantor posts to applications: for users, and for
// claims.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Header carries the signature: "t=T,v1=H", T the time in Unix seconds, H the hexadecimal
// HMAC-SHA256 under the secret over T, a full stop and the body.
const Header = "Grantor-Signature"

// MinSecretBytes is the length of the shortest secret that may sign.
const MinSecretBytes = 32

// Of returns the value of Header.
func Of(secret []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
