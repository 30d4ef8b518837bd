// Package doctor looks for what is wrong with a deployment: its configuration, certificates, Redis,
// issuer, clients, users and keys. It works before a start and beside running nodes, and changes
// nothing.
//
// Each check has a stable id and a bounded time. Checks returns them all; the table in
// docs/operate/doctor.md says what they look at.
package doctor

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/printable"
)

// Level says how bad a finding is.
type Level string

// The levels. Unknown is what could not be looked at, such as the settings of a Redis that does not
// answer; it is no fault of its own.
const (
	OK      Level = "ok"
	Unknown Level = "unknown"
	Warning Level = "warning" // it works, and somebody should look at it
	Fault   Level = "fault"   // something does not work, or will not
)

// Finding is what one check found. A check that finds several things has several findings.
type Finding struct {
	ID    string `json:"id"` // of the check
	Level Level  `json:"level"`
	Text  string `json:"text"`           // what is so, in one sentence; no secret
	Cure  string `json:"cure,omitempty"` // what to do
}

// Report is what all checks found, in the order of Checks.
type Report struct {
	OK       bool      `json:"ok"` // there is no fault
	Faults   int       `json:"faults"`
	Warnings int       `json:"warnings"`
	Unknown  int       `json:"unknown"`
	Findings []Finding `json:"checks"`
}

// Options are how to look. The zero value works.
type Options struct {
	CAFile  string        // PEM of the authorities to trust for the issuer; "": the system's
	Timeout time.Duration // of the whole. Checks run side by side, and each may take a third. 0: DefaultTimeout

	Now         func() time.Time             // nil: time.Now
	Descriptors func() (n uint64, told bool) // that this process may open; nil: asks the system
}

// DefaultTimeout bounds the whole.
const DefaultTimeout = 15 * time.Second

// Run carries out every check that concerns a configuration, as config.Read returned it. It returns
// within Options.Timeout: a check that takes too long is Unknown.
func Run(ctx context.Context, cfg *config.Config, warnings []string, problems config.Errors, o Options) Report {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout/3)
	defer cancel()
	s := newSubject(ctx, cfg, warnings, problems, o)
	defer s.close()
	begun := map[string]<-chan []Finding{}
	for _, c := range Checks() {
		if c.applies == nil || c.applies(cfg) {
			begun[c.ID] = s.begin(ctx, c)
		}
	}
	var all []Finding
	for _, c := range Checks() {
		if answer, is := begun[c.ID]; is {
			all = append(all, c.await(ctx, answer, o.Timeout/3)...)
		}
	}
	return reportOf(all)
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Descriptors == nil {
		o.Descriptors = descriptors
	}
	return o
}

// begin runs one check beside the others. A check that hangs is left behind: what it waits for is
// bounded elsewhere, and the process ends soon.
func (s *subject) begin(ctx context.Context, c Check) <-chan []Finding {
	done := make(chan []Finding, 1)
	go func() {
		if len(c.needs) > 0 && len(s.cfg.Problems(c.needs...)) > 0 {
			done <- []Finding{unknown("the configuration is wrong where this check needs it; see config.file")}
			return
		}
		done <- c.run(ctx, s)
	}()
	return done
}

// await returns what a check found, or that it took too long.
func (c Check) await(ctx context.Context, done <-chan []Finding, limit time.Duration) (found []Finding) {
	select {
	case found = <-done:
	case <-ctx.Done():
		select {
		case found = <-done: // both are there
		default:
			found = []Finding{c.late(limit)}
		}
	}
	for i := range found {
		found[i].ID = c.ID
		found[i].Text, found[i].Cure = tidy(found[i].Text), tidy(found[i].Cure)
	}
	return found
}

// late is the finding of a check that takes too long.
func (c Check) late(limit time.Duration) Finding {
	if c.answers {
		return fault("there was no answer within "+limit.String(), "look at the network, at firewalls, and at the load of who should answer; --timeout gives more time")
	}
	return unknown("this check took longer than " + limit.String() + "; --timeout gives more time")
}

// tidy makes a text harmless that may quote what others wrote, or a secret that somebody typed as a
// name.
func tidy(text string) string { return printable.Text(printable.Redact(text)) }

func reportOf(all []Finding) Report {
	r := Report{Findings: all}
	for _, f := range all {
		switch f.Level {
		case Fault:
			r.Faults++
		case Warning:
			r.Warnings++
		case Unknown:
			r.Unknown++
		}
	}
	r.OK = r.Faults == 0
	return r
}

func ok(text string) Finding            { return Finding{Level: OK, Text: text} }
func unknown(text string) Finding       { return Finding{Level: Unknown, Text: text} }
func warning(text, cure string) Finding { return Finding{Level: Warning, Text: text, Cure: cure} }
func fault(text, cure string) Finding   { return Finding{Level: Fault, Text: text, Cure: cure} }

// orOK returns what was found, or one finding that nothing was.
func orOK(found []Finding, text string) []Finding {
	if len(found) == 0 {
		return []Finding{ok(text)}
	}
	return found
}
