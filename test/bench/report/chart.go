package report

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the chart, in pixels.
const (
	chartWidth  = 980
	labelWidth  = 300
	barWidth    = 440 // of the longest bar
	rowHeight   = 22
	caseSpace   = 40
	chartTop    = 64
	chartBottom = 36
	longest     = 4.0 // × the ceiling: longer bars are cut
)

var colours = map[string]string{"gin": "#9aa5b1", "ceiling": "#52606d", "go-oauth2": "#d97706", "oidc-provider": "#b91c1c", "hydra": "#be185d", "hydra-cheap": "#f472b6",
	"grantor-memory": "#7cc4a4", "grantor-redis": "#047857", "grantor-eddsa": "#0369a1", "grantor-es256": "#7c3aed"}

// Chart draws CPU per request of every case at a number of connections as SVG, on white, so that it
// can be read on dark pages too: bars in units of the ceiling's, with the spread of the rounds.
func (r *Run) Chart(connections int) string {
	var b strings.Builder
	y := chartTop
	for _, k := range r.Cases {
		y = r.drawCase(&b, k, connections, y)
	}
	height := y + chartBottom
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="#1f2933" role="img" aria-label="CPU per request at %d connections">
<rect width="100%%" height="100%%" fill="#ffffff"/>
<text x="20" y="28" font-size="18" font-weight="600">CPU per request at %d connection%s</text>
<text x="20" y="48" fill="#52606d">microseconds of server and store together, client not counted; shorter is better; the line is the naive ceiling: Gin and one Redis command</text>
`, chartWidth, height, chartWidth, height, connections, connections, plural(connections))
	foot := fmt.Sprintf(`<text x="20" y="%d" font-size="11" fill="#52606d">%s; medians of %d interleaved rounds, whiskers from least to most; × is the ratio to the ceiling in the same round</text>
</svg>
`, height-14, html.EscapeString(r.Machine+"; "+r.Generator), r.Rounds)
	return head + b.String() + foot
}

func (r *Run) drawCase(b *strings.Builder, k Named, connections, y int) int {
	unit := spread(r.Where(r.Ceiling, k.Name, connections), Sample.CPU).Median
	if unit == 0 {
		return y
	}
	scale := func(us float64) float64 { return min(us/unit, longest) / longest * barWidth }
	fmt.Fprintf(b, "<text x=\"20\" y=\"%d\" font-weight=\"600\">%s</text>\n", y+20, html.EscapeString(k.Title))
	y += 30
	top := y
	var labels strings.Builder // over the line
	for _, c := range r.Contestants {
		list := r.Where(c.Name, k.Name, connections)
		if len(list) == 0 {
			continue
		}
		r.drawBar(b, &labels, c, list, y, scale)
		y += rowHeight
	}
	x := labelWidth + scale(unit)
	fmt.Fprintf(b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#52606d\" stroke-width=\"1\" stroke-dasharray=\"4 3\"/>\n", x, top-4, x, y)
	b.WriteString(labels.String())
	return y + caseSpace - 30
}

func (r *Run) drawBar(b, labels *strings.Builder, c Named, list []Sample, y int, scale func(float64) float64) {
	cpu, ratio := spread(list, Sample.CPU), r.ratio(list, Sample.CPU)
	colour, weight := colours[c.Name], "400"
	if colour == "" {
		colour = "#64748b"
	}
	if c.Name == r.Product {
		weight = "600"
	}
	w, middle := scale(cpu.Median), y+rowHeight/2-1
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" font-weight=\"%s\">%s</text>\n", labelWidth-10, y+15, weight, html.EscapeString(short(c.Title)))
	fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" fill=\"%s\"/>\n", labelWidth, y+2, w, rowHeight-6, colour)
	least, most := scale(cpu.Min), scale(cpu.Max)
	end := max(w, most)
	if w < barWidth {
		fmt.Fprintf(b, "<path d=\"M%.1f %dH%.1fM%.1f %dv6M%.1f %dv6\" stroke=\"#1f2933\" fill=\"none\"/>\n", labelWidth+least, middle, labelWidth+most,
			labelWidth+least, middle-3, labelWidth+most, middle-3)
	} else { // it goes on
		fmt.Fprintf(b, "<path d=\"M%d %dl8 9l-8 9z\" fill=\"%s\"/>\n", labelWidth+barWidth, y+1, colour)
		end += 10
	}
	fmt.Fprintf(labels, "<text x=\"%.1f\" y=\"%d\" font-weight=\"%s\" stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\">%.0f µs · %.2f×</text>\n", labelWidth+end+8, y+15, weight, cpu.Median, ratio.Median)
}

// short leaves out what stands in brackets.
func short(title string) string {
	before, _, _ := strings.Cut(title, " (")
	return before
}
