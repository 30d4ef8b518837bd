package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/importer"
	"github.com/grantor-auth/grantor/tokens"
)

// importPlan is what becomes of a file.
type importPlan struct {
	batch *clients.Import
	lines []*importLine
}

// importLine is what becomes of one entry.
type importLine struct {
	item    *importer.Item
	outcome clients.Outcome // "": nothing becomes of it
	epoch   clients.Epoch
	key     *apikeys.Key // that was stored
}

// plan holds every entry against the configuration and the registry, and says all that is wrong.
func (r *importRun) plan(items []importer.Item) (*importPlan, error) {
	plan := &importPlan{batch: r.manager.NewImport()}
	seen, digests := map[string]bool{}, map[string]bool{}
	var wrong error
	for n := range items {
		line := &importLine{item: &items[n]}
		plan.lines = append(plan.lines, line)
		if line.item.Refused != "" {
			continue
		}
		id := line.item.Client.ID
		if seen[id] {
			wrong = errors.Join(wrong, fmt.Errorf("%s %q is there twice", line.item.Kind, line.item.Name))
			continue
		}
		seen[id] = true
		if k := line.item.Key; k != nil {
			if digests[k.Digest] {
				wrong = errors.Join(wrong, fmt.Errorf("%s %q has the text of another key of the file: a text belongs to one client", line.item.Kind, line.item.Name))
			}
			digests[k.Digest] = true
		}
		var err error
		line.outcome, line.epoch, err = plan.batch.Plan(r.ctx, clients.Wanted{Registration: line.item.Client, Same: line.item.Same,
			Seal: line.item.Seal, Replace: r.existing == existingReplace})
		if err == nil && line.item.Key != nil && line.writes() {
			err = r.checkKey(line)
		}
		if _, asked := errors.AsType[*apikeys.AskError](err); asked {
			wrong = errors.Join(wrong, fmt.Errorf("%s %q: %w", line.item.Kind, line.item.Name, err))
			continue
		}
		if _, field := errors.AsType[*clients.FieldError](err); err != nil && !field {
			return nil, err
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s %q: %w", line.item.Kind, line.item.Name, err))
		}
	}
	if wrong != nil {
		return nil, usageError{fmt.Errorf("nothing was imported: %w", wrong)}
	}
	return plan, nil
}

// conflict refuses a file with ids that others have.
func (p *importPlan) conflict(existing string) error {
	var ids []string
	for _, l := range p.lines {
		if l.outcome == clients.OutcomeExists {
			ids = append(ids, l.item.Client.ID)
		}
	}
	if len(ids) == 0 || existing == existingKeep {
		return nil
	}
	if existing == existingReplace {
		return usageError{fmt.Errorf("nothing was imported: these clients are in config.toml, and are changed there: %s; --existing keep leaves them as they are", strings.Join(ids, ", "))}
	}
	return usageError{fmt.Errorf("nothing was imported: other clients have these ids: %s; --existing keep leaves them as they are, --existing replace replaces them", strings.Join(ids, ", "))}
}

// writes says whether the line changes something.
func (l *importLine) writes() bool {
	return l.outcome == clients.OutcomeCreate || l.outcome == clients.OutcomeReplace
}

// hasKeys says whether API keys are to be written.
func (p *importPlan) hasKeys() bool {
	return slices.ContainsFunc(p.lines, func(l *importLine) bool { return l.item.Key != nil && l.writes() })
}

// write stores the keys first, which are inactive without their clients, and then all clients in
// one step. Where that fails, the keys of clients that do not exist are removed. Of two imports at
// once one would write its keys over those of the other.
func (r *importRun) write(p *importPlan) error {
	if p.hasKeys() {
		end, err := p.batch.Begin(r.ctx)
		if err != nil {
			return err
		}
		defer end()
	}
	err := r.writeKeys(p)
	if err == nil || errors.Is(err, clients.ErrNotConfirmed) {
		unconfirmed := err
		if err = p.batch.Apply(r.ctx); err == nil {
			err = unconfirmed
		}
	}
	if !wasMade(err) {
		if !errors.Is(err, clients.ErrOutcomeUnknown) {
			r.removeKeys(p)
		}
		return err
	}
	for _, l := range p.lines {
		if l.writes() {
			r.tell(l, err)
		}
	}
	return err
}

func (r *importRun) writeKeys(p *importPlan) (unconfirmed error) {
	for _, l := range p.lines {
		if l.item.Key == nil || !l.writes() {
			continue
		}
		c, ask, err := l.ask()
		if err != nil {
			return err
		}
		l.key, err = r.keys.Adopt(r.ctx, c, tokens.ForeignKeyHash(l.item.Key.Digest), ask)
		if errors.Is(err, clients.ErrNotConfirmed) {
			unconfirmed, err = err, nil
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", l.item.Kind, l.item.Name, err)
		}
	}
	return unconfirmed
}

// ask says which key becomes of an entry, and of which client.
func (l *importLine) ask() (*clients.Client, apikeys.Ask, error) {
	k := l.item.Key
	ask := apikeys.Ask{Name: k.Name, Scope: l.item.Client.Scope, NoExpiry: k.Ends.IsZero(), Creator: commandActor()}
	if !k.Ends.IsZero() {
		ask.TTL = min(time.Until(k.Ends).Truncate(time.Second), apikeys.MaxTTL)
	}
	c, err := l.item.Client.Client()
	if err != nil {
		return nil, ask, err
	}
	c.Epoch = l.epoch
	return c, ask, nil
}

func (r *importRun) checkKey(l *importLine) error {
	c, ask, err := l.ask()
	if err != nil {
		return err
	}
	return r.keys.CheckAdopt(c, ask)
}

// removeKeys takes away keys whose clients were not created. What stays has no effect: it takes
// memory until the next import.
func (r *importRun) removeKeys(p *importPlan) {
	for _, l := range p.lines {
		if l.key == nil || l.outcome != clients.OutcomeCreate {
			continue
		}
		if _, err := r.manager.Redis.Load(r.ctx, l.item.Client.ID); errors.Is(err, clients.ErrUnknown) {
			_ = r.keys.Keys.Forget(r.ctx, l.item.Client.ID)
		}
	}
}

// tell writes the events of a client that was written.
func (r *importRun) tell(l *importLine, err error) {
	detail := audit.Imported
	if l.outcome == clients.OutcomeReplace {
		detail = audit.ImportReplaced
	}
	r.trail.queue(registryChange(l.item.Client.ID, detail, err))
	if l.key != nil {
		e := audit.Change(audit.KeyCreated, l.item.Client.ID, l.key.Name, err != nil)
		e.Token, e.Scope = l.key.ID, l.key.Scope
		r.trail.queue(e)
	}
}
