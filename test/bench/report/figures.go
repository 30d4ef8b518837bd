// Package report turns samples into medians, ratios, a table and a chart.
package report

import (
	"slices"
)

// Sample is one measurement of one contestant.
type Sample struct {
	Round       int     `json:"round"`
	Contestant  string  `json:"contestant"`
	Case        string  `json:"case"`
	Connections int     `json:"connections"`
	Live        int     `json:"live_tokens,omitempty"` // of the growth
	Requests    int     `json:"requests"`
	Seconds     float64 `json:"seconds"`
	Rate        float64 `json:"requests_per_second"`
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
	Max         float64 `json:"max_us"`
	FrontCPU    float64 `json:"front_cpu_us,omitempty"` // per request, of a gate, nginx or an API that stands before the server
	ServerCPU   float64 `json:"server_cpu_us"`          // per request
	StoreCPU    float64 `json:"redis_cpu_us"`           // Redis or PostgreSQL
	Resident    int64   `json:"resident_bytes"`
	PerToken    float64 `json:"redis_bytes_per_token,omitempty"` // of the case issue
	Cold        float64 `json:"cold_start_ms"`
	Errors      int     `json:"errors"`
	Busy        float64 `json:"load_average,omitempty"` // of the whole machine, in the minute before
}

// CPU is microseconds of front, server and store per request.
func (s Sample) CPU() float64 { return s.FrontCPU + s.ServerCPU + s.StoreCPU }

// Named is something with a name for programs and a title for people.
type Named struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Against string `json:"against,omitempty"` // of a contestant: the one that it is compared with; "": the ceiling. Of a case of bound tokens: that of unbound ones
	Before  string `json:"before,omitempty"`  // of a contestant: the one whose earlier version it is
}

// Run is all that one call of the benchmark measured.
type Run struct {
	Machine     string            `json:"machine"`
	Generator   string            `json:"load_generator"`
	Rounds      int               `json:"rounds"`
	Seconds     float64           `json:"seconds"`
	Versions    map[string]string `json:"versions"`
	Ceiling     string            `json:"ceiling"`
	Product     string            `json:"product"`
	Contestants []Named           `json:"contestants"`
	Cases       []Named           `json:"cases"`
	Connections []int             `json:"connections"`
	LeftOut     []Named           `json:"left_out,omitempty"` // and why
	Samples     []Sample          `json:"samples"`
	Growth      []Sample          `json:"growth,omitempty"`
}

// Spread is what rounds said of one figure.
type Spread struct{ Median, Min, Max float64 }

// Of returns the spread of values; of none, zeros.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(values))
	middle := s[len(s)/2]
	if len(s)%2 == 0 {
		middle = (middle + s[len(s)/2-1]) / 2
	}
	return Spread{middle, s[0], s[len(s)-1]}
}

// Where returns the samples of one contestant, case and number of connections.
func (r *Run) Where(contestant, name string, connections int) (found []Sample) {
	for _, s := range r.Samples {
		if s.Contestant == contestant && s.Case == name && s.Connections == connections {
			found = append(found, s)
		}
	}
	return found
}

// Spread returns the spread of a figure over samples.
func spread(list []Sample, figure func(Sample) float64) Spread {
	values := make([]float64, 0, len(list))
	for _, s := range list {
		values = append(values, figure(s))
	}
	return Of(values)
}

// ratio is a figure over that of the ceiling in the same round, case and number of connections;
// behind TLS, of the ceiling behind TLS.
func (r *Run) ratio(list []Sample, figure func(Sample) float64) Spread {
	if len(list) == 0 {
		return Spread{}
	}
	against := r.Ceiling
	for _, c := range r.Contestants {
		if c.Name == list[0].Contestant && c.Against != "" {
			against = c.Against
		}
	}
	return r.ratioTo(against, list, figure)
}

// ratioTo is a figure over that of another contestant in the same round, case and number of
// connections.
func (r *Run) ratioTo(other string, list []Sample, figure func(Sample) float64) Spread {
	if len(list) == 0 {
		return Spread{}
	}
	return overRound(list, r.Where(other, list[0].Case, list[0].Connections), figure)
}

// overRound is a figure over that of other samples of the same round.
func overRound(list, others []Sample, figure func(Sample) float64) Spread {
	var values []float64
	for _, s := range list {
		for _, o := range others {
			if o.Round == s.Round && figure(o) > 0 {
				values = append(values, figure(s)/figure(o))
			}
		}
	}
	return Of(values)
}

func p50(s Sample) float64 { return s.P50 }

// goal is what a contestant shall reach, as a ratio to its ceiling; 0: no goal.
type goal struct {
	name     string
	cpu, p50 float64
}

var goals = []goal{{"issue", 0.75, 1.1}, {"introspect", 0.75, 1.1}, {"garbage", 0.45, 0.6}, {"refresh", 1.6, 1.6}, {"revoke", 1.0, 1.1}}

// ownGoals are those of contestants of these names, instead of the product's.
var ownGoals = map[string][]goal{"grantor-eddsa": {{"issue", 1.2, 1.3}}, "grantor-es256": {{"issue", 1.4, 1.5}},
	"grantor-tls": {{"issue", 0.65, 0}, {"introspect", 0.55, 0}}, "gate": {{"check", 0.45, 0}}}

// mostOfBefore is the goal of a contestant over its earlier version.
const mostOfBefore = 1.10
