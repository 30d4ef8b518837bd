package gate

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

// route is a demand of the proxy's configuration, read once.
type route struct {
	handler http.Handler
	mistake string // why the demand cannot be read; "": it can
}

// routes are the demands that were asked for. A proxy's configuration has a few.
type routes struct {
	known sync.Map // of the text to *route
	mu    sync.Mutex
	count int
}

// maxRoutes bounds what is remembered, for a proxy that puts a part of the request into the demand.
const maxRoutes = 1000

// route returns what a demand wants. A mistake is logged once.
func (g *Gate) route(text string) *route {
	if known, ok := g.routes.known.Load(text); ok {
		return known.(*route) //nolint:forcetypeassert // nothing else is stored
	}
	made, err := g.newRoute(text)
	if err != nil {
		made = &route{mistake: "the demand of the proxy's configuration is wrong: " + err.Error()}
	}
	g.routes.mu.Lock()
	defer g.routes.mu.Unlock()
	if known, ok := g.routes.known.Load(text); ok {
		return known.(*route) //nolint:forcetypeassert // see above
	}
	if g.routes.count < maxRoutes {
		g.routes.count++
		g.routes.known.Store(strings.Clone(text), made)
		if err != nil {
			g.log.Error("the proxy's demand is invalid; its checks are answered 500", "error", err.Error())
		}
	}
	return made
}

func (g *Gate) newRoute(text string) (*route, error) {
	d, err := parseDemand(text)
	if err != nil {
		return nil, err
	}
	audience := cmp.Or(d.Resource, d.Audience)
	if g.cfg.Identity != nil && audience == "" {
		return nil, errors.New("audience is missing: with --identity jwt it says for whom Grantor-Identity is")
	}
	allow := func(w http.ResponseWriter, r *http.Request) { g.allow(w, r, audience) }
	handler, err := g.guard.Protect(http.HandlerFunc(allow), d)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "middleware: "))
	}
	return &route{handler: handler}, nil
}

// parseDemand reads scope, any, and audience or resource. Whatever is not clearly one of them is an
// error, so that a misspelt demand opens nothing. Errors quote no values, which might be tokens.
func parseDemand(text string) (d middleware.Demand, err error) {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, "&") {
		name, value, err := parameter(part, "scope", "any", "audience", "resource")
		if err != nil {
			return d, err
		}
		if seen[name] {
			return d, fmt.Errorf("%s comes twice; divide scopes by + in one parameter", name)
		}
		seen[name] = true
		if err := set(&d, name, value); err != nil {
			return d, fmt.Errorf("%s: %w", name, err)
		}
	}
	if d.Audience != "" && d.Resource != "" {
		return d, errors.New("give either audience or resource")
	}
	return d, nil
}

// parameter takes name=value apart, where name is one of known.
func parameter(part string, known ...string) (name, value string, err error) {
	last := len(known) - 1
	there := "there are " + strings.Join(known[:last], ", ") + " and " + known[last]
	if part == "" {
		return "", "", errors.New("it is empty, or has an empty part; " + there)
	}
	if strings.Contains(part, ";") {
		return "", "", errors.New("it has a semicolon; parameters are divided by &")
	}
	name, text, _ := strings.Cut(part, "=")
	if !slices.Contains(known, name) {
		return "", "", fmt.Errorf("%s is unknown; %s", called(name), there)
	}
	if value, err = url.QueryUnescape(text); err != nil {
		return "", "", fmt.Errorf("%s has an escape that is none", name)
	}
	if value == "" {
		return "", "", fmt.Errorf("%s is empty", name)
	}
	return name, value, nil
}

// called repeats an unknown name if nobody can have hidden anything in it.
func called(name string) string {
	plain := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r == '-' }
	if name == "" || len(name) > 24 || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return "a parameter"
	}
	return "the parameter " + name
}

func set(d *middleware.Demand, name, value string) error {
	switch name {
	case "audience":
		d.Audience = value
		return scopes.CheckResource(value)
	case "resource":
		d.Resource = value
		return nil // Protect checks it
	}
	tokens, err := scopes.Parse(value)
	if err != nil {
		return err
	}
	for token := range tokens.All() {
		if name == "scope" {
			d.AllOf = append(d.AllOf, token)
		} else {
			d.AnyOf = append(d.AnyOf, token)
		}
	}
	return nil
}

// inPath returns the demand of /verify/DEMAND/…, in which a slash is written %2F, and the path of
// the client's request behind it.
func inPath(u *url.URL, begin string) (demand, path string) {
	demand, path, found := strings.Cut(strings.TrimPrefix(sentPath(u), begin+"/"), "/")
	if found {
		path = "/" + path
	}
	return demand, path
}

// sentPath is the path as it was sent. EscapedPath writes it anew where the client's part has a
// character that is to be escaped, and then no %2F of the demand is left.
func sentPath(u *url.URL) string { return cmp.Or(u.RawPath, u.EscapedPath()) }
