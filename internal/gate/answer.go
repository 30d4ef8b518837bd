package gate

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/middleware"
)

// Headers of an answer 200. All of them are in every such answer, an empty one where there is
// nothing to say: a proxy that copies them replaces what a client sent.
const (
	HeaderSubject     = "Grantor-Subject"      // the user's id, or the client's for a machine
	HeaderSubjectType = "Grantor-Subject-Type" // "user", "client" or "external"
	HeaderClientID    = "Grantor-Client-Id"
	HeaderScope       = "Grantor-Scope"    // divided by spaces
	HeaderSession     = "Grantor-Session"  // one login of a user; "" for machines
	HeaderExpires     = "Grantor-Expires"  // Unix seconds
	HeaderClaims      = "Grantor-Claims"   // a JSON object of the claims in Config.Claims
	HeaderIdentity    = "Grantor-Identity" // a JWT; "" without Config.Identity
)

const codeServerError = "server_error"

// allow answers 200 with what the token says.
func (g *Gate) allow(w http.ResponseWriter, r *http.Request, audience string) {
	t := middleware.TokenFrom(r.Context())
	chosen, err := g.chosenClaims(t)
	if err != nil {
		g.cfg.Log.Error("claims of a token cannot be sent", "error", err.Error())
		refuse(w, http.StatusInternalServerError, codeServerError, err.Error())
		return
	}
	identity := ""
	if g.cfg.Identity != nil {
		if identity, err = g.cfg.Identity.of(t, audience, chosen); err != nil {
			g.cfg.Log.Error("an identity token could not be signed", "error", err.Error())
			refuse(w, http.StatusInternalServerError, codeServerError,
				"the identity token could not be signed; the log of the gate says why")
			return
		}
	}
	write(w, fields{encode(t.Subject), encode(t.SubjectType), encode(t.ClientID), t.Scope.String(),
		encode(session(t)), seconds(t), encode(chosen), identity})
}

// nobody answers 200 to a preflight: there is no token, and no header speaks of one.
func nobody(w http.ResponseWriter) { write(w, fields{}) }

// fields are the values in the order of the constants above.
type fields [8]string

func write(w http.ResponseWriter, values fields) {
	h := w.Header()
	own := &values // one array instead of eight lists
	names := [...]string{HeaderSubject, HeaderSubjectType, HeaderClientID, HeaderScope, HeaderSession, HeaderExpires, HeaderClaims, HeaderIdentity}
	for i, name := range names {
		h[name] = own[i : i+1 : i+1]
	}
	h["Cache-Control"] = noStore
	w.WriteHeader(http.StatusOK)
}

//nolint:gochecknoglobals // never changed
var noStore = []string{"no-store"}

// encode makes a text a header value: visible ASCII but "%" stays as it is, every other byte is
// percent-encoded (RFC 3986 §2.1), spaces too. Percent-decoding gives the text back.
func encode(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == '%' {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// seconds is the end of a token.
func seconds(t *middleware.Token) string {
	if t.ExpiresAt.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.ExpiresAt.Unix(), 10)
}

// refuse answers in JSON, like the server (RFC 6749 §5.2).
func refuse(w http.ResponseWriter, status int, code, description string) {
	say(w, status, make(jsonobject.Object, 0, 256).Text("error", code).Text("error_description", description).Close())
}

//nolint:gochecknoglobals // never changed
var statusOK = []byte(`{"status":"ok"}`)

func say(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // #nosec G705 -- JSON of our own; the proxy may be gone
}
