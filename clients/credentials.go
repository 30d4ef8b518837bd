package clients

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Credentials are what a request says about its client, not yet believed.
type Credentials struct {
	ID     string
	Secret string // "" with MethodNone and MethodJWT
	Method Method // MethodBasic, MethodPost, MethodNone or MethodJWT

	Assertion string // with MethodJWT: the client_assertion; ID may be "" then
	SVID      bool   // with MethodJWT: the client_assertion_type says that it is a JWT-SVID
}

// Errors of ReadCredentials. Their texts are for the client's developer.
var (
	// ErrAmbiguous: more than one way to authenticate, or ids that differ (RFC 6749 §2.3).
	ErrAmbiguous = errors.New("ambiguous client authentication")
	// ErrMissing: none, or one that cannot be read (RFC 6749 §5.2).
	ErrMissing = errors.New("no usable client authentication")
)

// CredentialsError is a refusal of ReadCredentials: one of its errors and the
// sentence that says what would be right.
type CredentialsError struct {
	Err      error
	Sentence string
}

func (e *CredentialsError) Error() string { return e.Sentence }
func (e *CredentialsError) Unwrap() error { return e.Err }

func ambiguous(sentence string) error { return &CredentialsError{ErrAmbiguous, sentence} }
func missing(sentence string) error   { return &CredentialsError{ErrMissing, sentence} }

// ReadCredentials reads who a request says it comes from: the values of its Authorization header
// and its form. Exactly one method may be used (RFC 6749 §2.3); client_id in the form beside Basic
// must be the same. Errors are *CredentialsError.
func ReadCredentials(authorization []string, form url.Values) (Credentials, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return readAssertion(authorization, form)
	}
	switch {
	case len(authorization) > 1:
		return Credentials{}, ambiguous("there is more than one Authorization header")
	case len(authorization) == 0 && secret != "" && id == "":
		return Credentials{}, missing("client_secret came without client_id")
	case len(authorization) == 0 && secret != "":
		return Credentials{ID: id, Secret: secret, Method: MethodPost}, nil
	case len(authorization) == 0 && id != "":
		return Credentials{ID: id, Method: MethodNone}, nil
	case len(authorization) == 0:
		return Credentials{}, missing("the client must authenticate: HTTP Basic with its id and secret, or client_id and client_secret in the body")
	}
	c, err := parseBasic(authorization[0])
	switch {
	case err != nil:
		return Credentials{}, err
	case secret != "":
		return Credentials{}, ambiguous("the client authenticates twice: by the Authorization header and by client_secret; use one")
	case id != "" && id != c.ID:
		return Credentials{}, ambiguous("client_id in the body differs from the one in the Authorization header")
	}
	return c, nil
}

// The values of client_assertion_type.
const (
	AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	SVIDType      = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe" // draft-ietf-oauth-spiffe-client-auth §3.1
)

// readAssertion reads a JWT that proves the client (RFC 7521 §4.2). It is the only method of its
// request.
func readAssertion(authorization []string, form url.Values) (Credentials, error) {
	text, kind := form.Get("client_assertion"), form.Get("client_assertion_type")
	switch {
	case len(authorization) > 0 || form.Get("client_secret") != "":
		return Credentials{}, ambiguous("the client authenticates twice: by client_assertion and by a secret; use one (RFC 6749 §2.3)")
	case kind != AssertionType && kind != SVIDType:
		return Credentials{}, missing("client_assertion_type must be " + AssertionType + " (RFC 7523 §2.2), or " + SVIDType + " for a JWT-SVID")
	case text == "":
		return Credentials{}, missing("client_assertion is missing (RFC 7521 §4.2)")
	}
	return Credentials{ID: form.Get("client_id"), Method: MethodJWT, Assertion: text, SVID: kind == SVIDType}, nil
}

// parseBasic reads a Basic header whose two halves are form-encoded
// (RFC 6749 §2.3.1; RFC 7617 §2). An empty secret is none: method "none".
func parseBasic(header string) (Credentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return Credentials{}, missing("clients authenticate here by the Basic scheme, or by client_id and client_secret in the body")
	}
	encoded = strings.Trim(encoded, " ")
	var short [256]byte // most fit
	raw := short[:]
	if n := base64.StdEncoding.DecodedLen(len(encoded)); n > len(raw) {
		raw = make([]byte, n)
	}
	n, err := base64.StdEncoding.Decode(raw, []byte(encoded))
	if err != nil {
		return Credentials{}, missing("the Basic credentials are not base64")
	}
	text := string(raw[:n])
	id, secret, ok := strings.Cut(text, ":")
	if !ok {
		return Credentials{}, missing("the Basic credentials have no colon between id and secret")
	}
	var err1, err2 error
	if strings.Contains(text, "%") || strings.Contains(text, "+") { // few have escapes
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
	}
	if err1 != nil || err2 != nil {
		return Credentials{}, missing("id and secret must each be form-encoded before base64 (RFC 6749 §2.3.1): write % as %25 and + as %2B")
	}
	if !utf8.ValidString(id) || !utf8.ValidString(secret) || strings.IndexByte(id, 0) >= 0 || strings.IndexByte(secret, 0) >= 0 {
		return Credentials{}, missing("id and secret are printable ASCII (RFC 6749 App. A)")
	}
	if secret == "" { // RFC 6749 §2.3.1: a client without a secret may say only who it is
		return Credentials{ID: id, Method: MethodNone}, nil
	}
	return Credentials{ID: id, Secret: secret, Method: MethodBasic}, nil
}
