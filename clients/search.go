package clients

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/registry"
)

// byIDOrName chooses records whose id, or name as JSON has it, contains ARGV[4] in lower case.
// client_name stands before the other members, so the first "," behind it ends it.
var byIDOrName = registry.NewFilter(`(function()
  if ARGV[4] == '' or string.find(string.lower(id), ARGV[4], 1, true) then return true end
  local from = string.find(text, '"client_name":"', 1, true)
  if not from then return false end
  local to = string.find(text, '","', from + 15, true) or #text
  return string.find(string.lower(string.sub(text, from + 15, to - 1)), ARGV[4], 1, true) ~= nil
end)()`)

// searchTime is how long one page of a search looks: Redis sees about a million clients in a second
// or two.
const searchTime = 60 * time.Millisecond

// MaxSearchBytes bounds the text of a search.
const MaxSearchBytes = MaxIDBytes

// ErrSearch: the text of a search is too long.
var ErrSearch = errors.New("a search has at most 255 characters")

// Search is List of the clients whose id or name contains text; letters of ASCII match in both
// cases. The client with exactly this id comes first. A page may be empty although more follow: a
// search looks for a moment, and goes on from its cursor.
func (m *Manager) Search(ctx context.Context, text, cursor string, size int) ([]*Described, string, error) {
	if len(text) > MaxSearchBytes {
		return nil, "", ErrSearch
	}
	list, err := m.searchFirst(ctx, text, cursor)
	if err != nil {
		return nil, "", err
	}
	found, next, err := m.Redis.search(ctx, text, cursor, size)
	for _, s := range found {
		if s.ID != text && (contains(s.ID, text) || contains(s.Name, text)) && m.configured(s.ID) == nil {
			list = append(list, describeStored(s))
		}
	}
	if err == nil {
		err = m.Redis.addUses(ctx, list)
	}
	return list, next, err
}

// searchFirst returns what comes with the first page alone: the client of this id, and those of
// config.toml.
func (m *Manager) searchFirst(ctx context.Context, text, cursor string) (list []*Described, err error) {
	if cursor != "" {
		return nil, nil
	}
	var configured []*Client
	for _, c := range m.Configured {
		if c.ID == text || contains(c.ID, text) || contains(c.Name, text) {
			configured = append(configured, c)
		}
	}
	if list, err = m.describeConfigured(ctx, configured...); err != nil || text == "" || m.configured(text) != nil {
		return list, err
	}
	s, err := m.Redis.Load(ctx, text)
	if errors.Is(err, ErrUnknown) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]*Described{describeStored(s)}, list...), nil
}

// contains compares as byIDOrName does.
func contains(text, part string) bool { return strings.Contains(lower(text), lower(part)) }

// lower folds letters of ASCII, as Lua does.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

func (d *Redis) search(ctx context.Context, text, cursor string, size int) ([]*Stored, string, error) {
	quoted, err := json.Marshal(text) // as records have it
	if err != nil {
		return nil, "", err
	}
	begun := time.Now()
	goOn := func() bool { return time.Since(begun) < searchTime }
	list, next, err := d.records.Search(ctx, byIDOrName, cursor, size, goOn, lower(string(quoted[1:len(quoted)-1])))
	if err != nil {
		return nil, "", ownError(err)
	}
	found := make([]*Stored, len(list))
	for i, e := range list {
		if found[i], err = readStored(e.ID, e.Text); err != nil {
			return nil, "", err
		}
	}
	return found, next, nil
}
