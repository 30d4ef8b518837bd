package cli

import (
	"fmt"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/printable"
)

// shownImport is the answer of the command in JSON.
type shownImport struct {
	Applied bool          `json:"applied"`
	Items   []shownImpact `json:"items"`
	Counts  importCounts  `json:"counts"`
}

type shownImpact struct {
	Kind     string                `json:"kind"`
	Name     string                `json:"name"`
	Outcome  string                `json:"outcome"` // create, replace, unchanged, exists, left out
	Why      string                `json:"why,omitempty"`
	LeftOut  []string              `json:"left_out,omitempty"`
	Secret   string                `json:"secret,omitempty"`
	ClientID string                `json:"client_id,omitempty"`
	Client   *clients.Registration `json:"client,omitempty"`
}

type importCounts struct {
	Create    int `json:"create"`
	Replace   int `json:"replace"`
	Unchanged int `json:"unchanged"`
	Exists    int `json:"exists"`
	LeftOut   int `json:"left_out"`
}

func (p *importPlan) shown(applied bool) shownImport {
	out := shownImport{Applied: applied, Items: []shownImpact{}}
	for _, l := range p.lines {
		s := shownImpact{Kind: l.item.Kind, Name: l.item.Name, Outcome: string(l.outcome), Why: l.item.Refused}
		switch l.outcome {
		case clients.OutcomeCreate:
			out.Counts.Create++
		case clients.OutcomeReplace:
			out.Counts.Replace++
		case clients.OutcomeUnchanged:
			out.Counts.Unchanged++
		case clients.OutcomeExists:
			out.Counts.Exists++
		default:
			s.Outcome = "left out"
			out.Counts.LeftOut++
		}
		if l.outcome != "" {
			c := *l.item.Client
			c.Secrets = nil // nobody needs the hashes of another server
			s.ClientID, s.Client, s.LeftOut, s.Secret = c.ID, &c, l.item.LeftOut, l.item.Secret
		}
		out.Items = append(out.Items, s)
	}
	return out
}

func (p *importPlan) text(applied bool) string {
	var t strings.Builder
	shown := p.shown(applied)
	for _, s := range shown.Items {
		fmt.Fprintf(&t, "%s %s: %s", s.Kind, printable.Text(s.Name), strings.Join(s.words(applied), "; "))
		t.WriteByte('\n')
		if len(s.LeftOut) > 0 {
			fmt.Fprintf(&t, "  left out: %s\n", printable.Text(strings.Join(s.LeftOut, ", ")))
		}
	}
	c := shown.Counts
	counts := "%d to create, %d to replace, %d unchanged, %d kept, %d left out\nnothing was changed: --apply writes it\n"
	if applied {
		counts = "%d created, %d replaced, %d unchanged, %d kept, %d left out\n"
	}
	fmt.Fprintf(&t, counts, c.Create, c.Replace, c.Unchanged, c.Exists, c.LeftOut)
	return t.String()
}

// words say what becomes of an entry.
func (s *shownImpact) words(applied bool) []string {
	if s.Client == nil {
		return []string{s.Outcome + ": " + printable.Text(s.Why)}
	}
	outcome := s.Outcome
	if written := map[string]string{string(clients.OutcomeCreate): "created", string(clients.OutcomeReplace): "replaced"}[outcome]; applied && written != "" {
		outcome = written
	}
	words := []string{outcome + " client " + printable.Text(s.ClientID)}
	if len(s.Client.Grants) > 0 {
		words = append(words, strings.Join(s.Client.Grants, " "))
	}
	words = append(words, "scope "+s.Client.Scope)
	if s.Secret != "" {
		words = append(words, "secret: "+s.Secret)
	}
	return words
}
