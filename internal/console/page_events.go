package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/grantor-auth/grantor/internal/audit"
)

const eventsPage = 100

// eventBody is what the page of events shows.
type eventBody struct {
	audit.Filter
	Events []audit.Event
	Older  string // "": these are the oldest
	Live   bool   // the newest page: it is loaded again by itself
	None   bool   // there is no trail to read
	Here   bool   // events of this node alone
}

func (c *Console) events(v *visit) error {
	q := v.r.URL.Query()
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	f := audit.Filter{Event: text("event"), Client: text("client"), Subject: text("user"), Reason: text("reason"), Actor: text("actor")}
	body := eventBody{Filter: f, Live: text("cursor") == "", None: c.cfg.Events == nil, Here: c.cfg.EventsHere}
	if !body.None {
		list, next, err := c.cfg.Events.Latest(v.r.Context(), f, text("cursor"), eventsPage)
		if errors.Is(err, audit.ErrCursor) {
			return refusal(http.StatusBadRequest, "this address is of no page of events: begin with the newest")
		}
		if err != nil {
			return err
		}
		if body.Events = list; next != "" {
			body.Older = "/console/events?" + url.Values{"event": {f.Event}, "client": {f.Client}, "user": {f.Subject},
				"reason": {f.Reason}, "actor": {f.Actor}, "cursor": {next}}.Encode()
		}
	}
	c.show(v, "events", http.StatusOK, "Events", body)
	return nil
}
