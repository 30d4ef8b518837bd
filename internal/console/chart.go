package console

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// chart is a picture of an hour, with what it says in words.
type chart struct {
	Title, Unit string
	Value       string // of the hour: the sum, or the latest mean
	Note        string
	Drawing     template.HTML // by draw alone
	Warn        bool
}

// Size of a drawing, in its own units.
const (
	chartWidth  = 300
	chartHeight = 64
)

// draw draws an hour as bars: label and numbers come from Grantor alone.
func draw(values []float64, label string) template.HTML {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		chartWidth, chartHeight, template.HTMLEscapeString(label))
	step := float64(chartWidth) / float64(len(values))
	for i, v := range values {
		if v <= 0 {
			continue
		}
		height := max(v/top*(chartHeight-2), 1.5)
		fmt.Fprintf(&b, `<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" rx="1"/>`, float64(i)*step+0.5, chartHeight-height-1, step-1, height)
	}
	fmt.Fprintf(&b, `<line x1="0" y1="%d.5" x2="%d" y2="%d.5"/></svg>`, chartHeight-1, chartWidth, chartHeight-1)
	return template.HTML(b.String()) // #nosec G203 -- numbers, and an escaped label
}

// counted is a chart of what happened in the last hour.
func counted(title string, values []float64) chart {
	sum, peak := 0.0, 0.0
	for _, v := range values {
		sum, peak = sum+v, max(peak, v)
	}
	label := fmt.Sprintf("%s in the last hour: %s; at most %s in a minute", title, number(sum), number(peak))
	return chart{Title: title, Value: number(sum), Note: "at most " + number(peak) + " in a minute", Drawing: draw(values, label)}
}

// timed is a chart of means, in milliseconds.
func timed(title string, values []float64) chart {
	now, peak := 0.0, 0.0
	for _, v := range values {
		if v > 0 {
			now = v
		}
		peak = max(peak, v)
	}
	label := fmt.Sprintf("%s in the last hour: %s ms; at most %s ms", title, millis(now), millis(peak))
	return chart{Title: title, Value: millis(now), Unit: "ms", Note: "at most " + millis(peak) + " ms, mean of a minute", Drawing: draw(values, label)}
}

func millis(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// number writes a count with a thin space between thousands.
func number(v float64) string {
	digits := strconv.FormatInt(int64(math.Round(v)), 10)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteString("\u202f")
		}
		out.WriteRune(d)
	}
	return out.String()
}
