package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// policy lets a page load what this listener serves, and nothing else. No page may frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect sets the headers of every answer. With another Referrer-Policy than same-origin browsers
// would send Origin: null with forms.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

// foreign says why a form was not sent by a page of this console; "": it may have been. A page on
// another port of this host is of the same site and of another origin, and is refused; so is one of
// this name without TLS, which anybody on the way may have written.
func (c *Console) foreign(r *http.Request) string {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return "another web page sent this form"
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || c.secure(r) && u.Scheme != "https" {
			return "another web page sent this form"
		}
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(media) != "application/x-www-form-urlencoded" {
		return "a form has the media type application/x-www-form-urlencoded"
	}
	return ""
}

// formToken is what a form of a session must hold: whoever does not have the cookie cannot know it.
func formToken(secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("grantor console form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// hasToken says whether a form belongs to a secret in the browser's cookie.
func hasToken(r *http.Request, secret string) bool {
	return secret != "" && hmac.Equal([]byte(r.PostForm.Get("csrf")), []byte(formToken(secret)))
}

// Names of cookies. With the prefix browsers let no other host and no page without TLS set them.
const (
	sessionCookie = "grantor-console"
	loginCookie   = "grantor-console-login"
	hostPrefix    = "__Host-"
)

func (c *Console) cookieName(r *http.Request, name string) string {
	if c.secure(r) {
		return hostPrefix + name
	}
	return name
}

// setCookie sets a cookie for as long as the browser is open; value "" removes it.
func (c *Console) setCookie(w http.ResponseWriter, r *http.Request, name, value string) {
	one := &http.Cookie{Name: c.cookieName(r, name), Value: value, Path: "/console/", HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if c.secure(r) {
		one.Secure, one.Path = true, "/" // as the prefix demands
	}
	if value == "" {
		one.MaxAge = -1
	}
	http.SetCookie(w, one)
}

// cookie returns a cookie's value; "" where there is none, or more than one: another program of
// this host may have set the other.
func (c *Console) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(c.cookieName(r, name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// secure says whether the browser reaches this listener by TLS: here, or at the proxy that
// admin.url names.
func (c *Console) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	u, err := url.Parse(c.cfg.URL)
	return err == nil && u.Scheme == "https" && strings.EqualFold(u.Host, r.Host)
}
