package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/keys"
)

// timeline is the schedule of keys as a picture: one line for each key.
type timeline struct{ Drawing template.HTML }

// Size of the picture, in its own units: a day more or less changes only the scale.
const (
	lineWidth  = 900
	lineHeight = 34
	labelRoom  = 4
)

// timelineOf draws when each key is published, and when it signs.
func timelineOf(list []keys.Info, now time.Time) timeline {
	if len(list) == 0 {
		return timeline{}
	}
	from, to := spanOf(list, now)
	x := func(at time.Time) float64 {
		return float64(lineWidth) * float64(at.Sub(from)) / float64(to.Sub(from))
	}
	height := lineHeight*len(list) + 22
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="timeline" viewBox="0 0 %d %d" role="img" aria-label="Schedule of %d signing keys; the table below says the same">`, lineWidth, height, len(list))
	for i, k := range list {
		drawKey(&b, k, i*lineHeight, to, x)
	}
	fmt.Fprintf(&b, `<line class="now" x1="%.1f" y1="0" x2="%.1f" y2="%d"/>`, x(now), x(now), height-18)
	fmt.Fprintf(&b, `<text class="axis" x="%.1f" y="%d" text-anchor="middle">now</text></svg>`, min(max(x(now), 16), lineWidth-16), height-4)
	return timeline{template.HTML(b.String())} // #nosec G203 -- numbers, and ids that were escaped
}

// spanOf returns the time from the oldest key to the last end that is known, with a margin.
func spanOf(list []keys.Info, now time.Time) (from, to time.Time) {
	from, to = now.Add(-time.Hour), now.Add(24*time.Hour)
	for _, k := range list {
		for _, at := range []*time.Time{k.CreatedAt, k.UseFrom, k.UseUntil, k.PublishedUntil} {
			if at == nil {
				continue
			}
			if at.Before(from) {
				from = *at
			}
			if at.After(to) {
				to = *at
			}
		}
	}
	margin := to.Sub(from) / 40
	return from.Add(-margin), to.Add(margin)
}

// drawKey draws a key: a thin bar while it is published, and a thick one while it signs. An end
// that is not planned is the picture's.
func drawKey(b *strings.Builder, k keys.Info, top int, to time.Time, x func(time.Time) float64) {
	at := func(t *time.Time, otherwise time.Time) time.Time {
		if t == nil {
			return otherwise
		}
		return *t
	}
	created := at(k.CreatedAt, to)
	bar := func(class string, from, until time.Time, y, height int) {
		if until.After(from) {
			fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d" rx="3"/>`, class, x(from), y, max(x(until)-x(from), 2), height)
		}
	}
	bar("published", created, at(k.PublishedUntil, to), top+20, 6)
	if k.UseFrom != nil {
		bar("signs "+template.HTMLEscapeString(k.State), *k.UseFrom, at(k.UseUntil, to), top+17, 12)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d">%s %s, %s</text>`, min(x(created), lineWidth*0.62)+labelRoom, top+12,
		template.HTMLEscapeString(string(k.Algorithm)), template.HTMLEscapeString(shortID(k.KeyID)), template.HTMLEscapeString(k.State))
}

// shortID is enough of a key's id to tell it from the others.
func shortID(id string) string {
	if len(id) > 10 {
		return id[:10] + "…"
	}
	return id
}
