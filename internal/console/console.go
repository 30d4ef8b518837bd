package console

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/audit"
)

// Config is what a console is made of. Fields without a default are required.
type Config struct {
	// API returns the admin API for an operator, who is the actor of what it changes.
	API   func(actor string) http.Handler
	Store *Store
	// Overview tells of the deployment.
	Overview func(ctx context.Context) Overview
	Samples  *Samples

	Issuer    string                 // that clients use
	URL       string                 // [admin] url; "": not known
	KnownHost func(host string) bool // says whether a Host names this listener (DNS rebinding)

	UserHeader string           // in which a proxy says who is logged in; "": none does
	Proxies    address.Networks // peers whose UserHeader is believed

	Idle, Max time.Duration // how long a session lasts unused, and at most

	Trail      *audit.Trail // nil: none
	Events     audit.Reader // nil: there is no trail to read
	EventsHere bool         // Events are those of this node alone
	Log        *slog.Logger
}

// Console serves the pages. Its methods may be called by any number of goroutines.
type Console struct {
	cfg     Config
	mux     *http.ServeMux
	pages   map[string]*template.Template
	statics map[string]static
}

// New returns a console.
func New(cfg Config) (*Console, error) {
	c := &Console{cfg: cfg, mux: http.NewServeMux()}
	var err error
	if c.statics, err = readStatics(); err != nil {
		return nil, err
	}
	if c.pages, err = readPages(c.statics); err != nil {
		return nil, err
	}
	c.routes()
	return c, nil
}

// visit is one request of an operator's browser.
type visit struct {
	*session               // nil: nobody is logged in
	r        *http.Request // its form is read
	w        http.ResponseWriter
}

// page answers a request, or returns what to say instead.
type page func(v *visit) error

// routes is the table of pages.
func (c *Console) routes() {
	c.mux.HandleFunc("GET /console/static/", c.static)
	c.mux.Handle("/console", http.RedirectHandler("/console/", http.StatusSeeOther))
	c.open("GET /console/login", c.loginPage)
	c.open("POST /console/login", c.login)

	c.only("GET /console/{$}", c.overview)
	c.only("POST /console/logout", c.logout)
	c.only("GET /console/clients", c.clients)
	c.only("GET /console/clients/new", c.newClient)
	c.only("POST /console/clients/new", c.createClient)
	c.only("GET /console/client", c.client)
	c.only("POST /console/client", c.changeClient)
	c.only("GET /console/users", c.users)
	c.only("GET /console/user", c.user)
	c.only("POST /console/user", c.changeUser)
	c.only("POST /console/users/unlock-address", c.unlockAddress)
	c.only("GET /console/scopes", c.scopes)
	c.only("GET /console/keys", c.keys)
	c.only("POST /console/keys", c.rotateKeys)
	c.only("GET /console/events", c.events)
	c.only("GET /console/token", c.tokenPage)
	c.only("POST /console/token", c.explainToken)
	c.only("/console/", func(*visit) error { return notFound("there is no such page") })
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if !c.cfg.KnownHost(r.Host) {
		http.Error(w, misdirected, http.StatusMisdirectedRequest)
		return
	}
	if r.Method == http.MethodPost {
		if !c.readForm(w, r) {
			return
		}
	}
	c.mux.ServeHTTP(w, r)
}

// misdirected answers another Host, in the words of the admin API.
const misdirected = "this listener is not known by the name in the Host header; if it should be, set [admin] url"

// maxForm bounds a form: a token of 64 KiB is the longest field.
const maxForm = 128 << 10

// readForm reads the form of a POST of this console, and refuses those of others.
func (c *Console) readForm(w http.ResponseWriter, r *http.Request) bool {
	why := c.foreign(r)
	if why == "" {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if r.ParseForm() != nil {
			why = "the form cannot be read"
		}
	}
	if why != "" {
		c.refused(r, why)
		c.show(&visit{r: r, w: w}, "problem", http.StatusForbidden, "Refused", problem{Text: why})
	}
	return why == ""
}

// refused logs a request that no page of this console sent. Nothing of its form is in the line.
func (c *Console) refused(r *http.Request, why string) {
	c.cfg.Log.WarnContext(r.Context(), "the console refused a request", "problem", why, "peer", address.PeerOf(r).String())
}

// open is a page for everybody.
func (c *Console) open(pattern string, p page) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c.finish(&visit{r: r, w: w}, p)
	})
}

// only is a page for who is logged in; a form must also hold the token of the session.
func (c *Console) only(pattern string, p page) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v := &visit{r: r, w: w}
		c.finish(v, func(v *visit) error {
			if err := c.enter(v); err != nil {
				return err
			}
			if r.Method == http.MethodPost && !hasToken(r, v.token) {
				c.refused(r, "the form has no token of this session")
				return refusal(http.StatusForbidden, "this form is not of your session: load its page again, and send it from there")
			}
			return p(v)
		})
	})
}

// finish answers what a page returns.
func (c *Console) finish(v *visit, p page) {
	err := p(v)
	e, known := errors.AsType[*pageError](err)
	switch {
	case err == nil:
	case errors.Is(err, ErrNoSession):
		c.askLogin(v)
	case known:
		c.show(v, "problem", e.status, "Not done", problem{Text: e.text, Outcome: e.outcome})
	default:
		c.cfg.Log.ErrorContext(v.r.Context(), "a page of the console failed", "path", v.r.URL.Path, "error", err.Error())
		c.show(v, "problem", http.StatusServiceUnavailable, "Not available",
			problem{Text: "Redis could not answer, so nothing is known and nothing was shown. Try again."})
	}
}

// problem is what the page of that name shows.
type problem struct{ Text, Outcome string }

// pageError is a refusal that the operator can read.
type pageError struct {
	status        int
	text, outcome string
}

func (e *pageError) Error() string { return e.text }

func refusal(status int, text string) error { return &pageError{status: status, text: text} }
func notFound(text string) error            { return refusal(http.StatusNotFound, text) }

// again sends the browser to another page after a change; a reload then changes nothing.
func (v *visit) again(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}
