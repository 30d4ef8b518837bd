package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/audit"
)

// enter finds the session of a request. Behind a proxy that says who is logged in, a session
// belongs to that person alone, and begins by itself.
func (c *Console) enter(v *visit) error {
	person, err := c.proxied(v.r)
	if err != nil {
		return err
	}
	if token := c.cookie(v.r, sessionCookie); token != "" {
		found, err := c.cfg.Store.session(v.r.Context(), token, c.idle(v.r))
		if err != nil && !errors.Is(err, ErrNoSession) {
			return err
		}
		if err == nil && found.Proxied == person {
			v.session = found
			return nil
		}
	}
	if person == "" || v.r.Method != http.MethodGet {
		return ErrNoSession
	}
	return c.begin(v, session{Actor: actorOf(person), Proxied: person}, "by a proxy")
}

// idle is how long a request prolongs a session: what a page asks for by itself is no use of it.
func (c *Console) idle(r *http.Request) time.Duration {
	if r.Header.Get(pollHeader) != "" {
		return 0
	}
	return c.cfg.Idle
}

// pollHeader marks what console.js asks for by itself.
const pollHeader = "X-Console-Poll"

// proxied returns who is logged in at a trusted proxy; "": the request came by none, or the proxy
// does not say.
func (c *Console) proxied(r *http.Request) (person string, err error) {
	values := r.Header.Values(c.cfg.UserHeader)
	switch {
	case c.cfg.UserHeader == "" || len(values) == 0:
		return "", nil
	case !c.cfg.Proxies.Contain(address.PeerOf(r)):
		c.refused(r, "the header of a proxy came from elsewhere")
		return "", refusal(http.StatusForbidden, c.cfg.UserHeader+" came from an address that is not in [admin.console] proxies")
	case len(values) != 1 || !isPerson(values[0]):
		c.refused(r, "the header of a proxy names nobody")
		return "", refusal(http.StatusForbidden, "the proxy sent "+c.cfg.UserHeader+" without one name of 1 to 128 characters")
	}
	return values[0], nil
}

// isPerson says that a name can stand in the audit trail between parentheses: printable ASCII, and
// none of the characters that could end it.
func isPerson(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= 0x20 || r >= 0x7f || strings.ContainsRune(`()<>"',;`, r)
	})
}

// begin begins a session, in the place of another that the browser may have.
func (c *Console) begin(v *visit, one session, how string) error {
	if old := c.cookie(v.r, sessionCookie); old != "" {
		if err := c.cfg.Store.end(v.r.Context(), old); err != nil {
			return err
		}
	}
	begun, err := c.cfg.Store.begin(v.r.Context(), one, c.cfg.Idle, c.cfg.Max)
	if err != nil {
		return err
	}
	v.session = begun
	c.setCookie(v.w, v.r, sessionCookie, begun.token)
	c.record(v, audit.ConsoleLogin, how)
	return nil
}

// record writes to the audit trail what the console itself did.
func (c *Console) record(v *visit, event, detail string) {
	c.cfg.Trail.Record(v.r.Context(), audit.Event{Event: event, Actor: v.Actor, Detail: detail, Peer: address.PeerOf(v.r).String()})
}

// askLogin shows the login page in the place of another.
func (c *Console) askLogin(v *visit) {
	if v.r.Method == http.MethodGet {
		c.loginForm(v, http.StatusUnauthorized, "")
		return
	}
	c.loginForm(v, http.StatusUnauthorized, "Your session has ended, and nothing was done. Log in again.")
}

type loginBody struct {
	Token, Problem string
	Proxied        bool
}

// loginPage is where a link leads. Its code stands behind the #, which browsers send to nobody; a
// script puts it into the form.
func (c *Console) loginPage(v *visit) error {
	if c.enter(v) == nil {
		return v.again("/console/")
	}
	c.loginForm(v, http.StatusOK, "")
	return nil
}

// loginForm binds the form to this browser by a cookie, so that no other page can log it in.
func (c *Console) loginForm(v *visit, status int, problem string) {
	secret := newSecret()
	c.setCookie(v.w, v.r, loginCookie, secret)
	c.show(v, "login", status, "Log in", loginBody{Token: formToken(secret), Problem: problem, Proxied: c.cfg.UserHeader != ""})
}

// login spends a link.
func (c *Console) login(v *visit) error {
	if !hasToken(v.r, c.cookie(v.r, loginCookie)) {
		c.refused(v.r, "the login form is of another browser")
		c.loginForm(v, http.StatusForbidden, "This form was not of this browser, or cookies are off. Try again.")
		return nil
	}
	code := strings.TrimSpace(v.r.PostForm.Get("code"))
	if _, after, whole := strings.Cut(code, "#"); whole { // somebody pasted the link
		code = after
	}
	person, err := c.cfg.Store.takeLink(v.r.Context(), code)
	if errors.Is(err, ErrNoLink) {
		c.refused(v.r, "the login link was used or is too old")
		c.loginForm(v, http.StatusForbidden, "This link was used already, or is older than a minute. Run grantor console again.")
		return nil
	}
	if err != nil {
		return err
	}
	c.setCookie(v.w, v.r, loginCookie, "")
	if err := c.begin(v, session{Actor: actorOf(person)}, "by a link"); err != nil {
		return err
	}
	return v.again("/console/")
}

func (c *Console) logout(v *visit) error {
	if err := c.cfg.Store.end(v.r.Context(), v.token); err != nil {
		return err
	}
	c.record(v, audit.ConsoleLogout, "")
	c.setCookie(v.w, v.r, sessionCookie, "")
	c.show(&visit{r: v.r, w: v.w}, "goodbye", http.StatusOK, "Logged out", nil)
	return nil
}
