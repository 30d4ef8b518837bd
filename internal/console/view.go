package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/audit"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// static is a file that pages load. Its path changes with it, so browsers may keep it.
type static struct {
	path, media string
	body        []byte
}

func readStatics() (map[string]static, error) {
	names, err := fs.Glob(staticFiles, "static/*")
	if err != nil {
		return nil, err
	}
	media := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	found := map[string]static{}
	for _, name := range names {
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		base := path.Base(name)
		found[base] = static{"/console/static/" + hex.EncodeToString(sum[:6]) + "/" + base, media[path.Ext(base)], body}
	}
	return found, nil
}

// static serves a file of this version; another version's path is not found, and never another
// file.
func (c *Console) static(w http.ResponseWriter, r *http.Request) {
	one, ok := c.statics[path.Base(r.URL.Path)]
	if !ok || one.path != r.URL.Path {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", one.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(one.body)
}

// readPages reads each page with the frame around it.
func readPages(statics map[string]static) (map[string]*template.Template, error) {
	frame, err := template.New("frame.html").Funcs(template.FuncMap{
		"static": func(name string) string { return statics[name].path },
		"moment": moment, "second": second, "words": strings.Fields, "number": number, "kind": kindOf, "source": sourceOf, "lasts": lasts,
		"confirm": newConfirmation, "hidden": hidden, "eventNames": audit.Names,
	}).ParseFS(pageFiles, "pages/frame.html", "pages/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	found := map[string]*template.Template{}
	for _, name := range names {
		one, err := frame.Clone()
		if err == nil {
			one, err = one.ParseFS(pageFiles, name)
		}
		if err != nil {
			return nil, err
		}
		found[strings.TrimSuffix(path.Base(name), ".html")] = one
	}
	return found, nil
}

// second writes a time to the second.
func second(at time.Time) template.HTML {
	at = at.UTC()
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339) + `" data-exact>` + at.Format("2006-01-02 15:04:05 UTC") + `</time>`) // #nosec G203 -- digits
}

// moment writes a time for the viewer's zone: console.js replaces the text.
func moment(t any) template.HTML {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t != nil {
			at = *t
		}
	}
	if at.IsZero() {
		return `<span class="none">–</span>`
	}
	at = at.UTC()
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339) + `">` + at.Format("2006-01-02 15:04 UTC") + `</time>`) // #nosec G203 -- digits
}

// view is what the frame shows.
type view struct {
	Title, Section string
	Actor          string // "": nobody is logged in
	CSRF, Issuer   string
	Done           string // what was done by the page before
	Body           any
}

// show writes a page, once and whole.
func (c *Console) show(v *visit, name string, status int, title string, body any) {
	shown := view{Title: title, Section: sectionOf(v.r.URL.Path), Issuer: c.cfg.Issuer, Body: body, Done: done(v.r)}
	if v.session != nil {
		shown.Actor, shown.CSRF = v.Actor, formToken(v.token)
	}
	var text bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&text, "frame.html", shown); err != nil {
		c.cfg.Log.ErrorContext(v.r.Context(), "a page of the console failed", "path", v.r.URL.Path, "error", err.Error())
		http.Error(v.w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text.Bytes())
}

// sectionOf returns the part of the navigation that a path belongs to.
func sectionOf(at string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(at, "/console/"), "/")
	switch first {
	case "client":
		return "clients"
	case "user":
		return "users"
	}
	return first
}

// done says what the page before did: a text of this table alone, whatever the query says.
func done(r *http.Request) string {
	return map[string]string{
		"changed":     "The change is in force.",
		"disabled":    "Disabled. All its tokens have ended.",
		"enabled":     "Enabled.",
		"deleted":     "Deleted. All its tokens have ended.",
		"revoked":     "All its tokens have ended.",
		"secret":      "The secret has ended.",
		"unlocked":    "Unlocked. Failed attempts are forgotten.",
		"session":     "The session has ended, with all its tokens.",
		"sessions":    "All sessions of the user have ended.",
		"password":    "The password is set, and all sessions of the user have ended.",
		"key":         "The API key has ended.",
		"rotated":     "The next keys sign as soon as each verifier can know them.",
		"withdrawn":   "The earlier keys are withdrawn. New keys sign.",
		"not-rotated": "A rotation is under way already. Nothing was changed.",
	}[r.URL.Query().Get("done")]
}
