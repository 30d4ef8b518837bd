package users

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// checkQuery says whether text is one SELECT with one parameter. It is a help for whoever writes
// config.toml, who is trusted: what keeps the table unwritten is the read-only transaction.
func checkQuery(dialect Dialect, text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("is empty")
	}
	bare, err := bareSQL(dialect, text)
	if err != nil {
		return err
	}
	bare = strings.TrimRight(strings.TrimSpace(bare), "; \t\r\n")
	first, _, _ := strings.Cut(strings.Join(strings.Fields(bare), " "), " ")
	switch {
	case !strings.EqualFold(first, "SELECT") && !strings.EqualFold(first, "WITH"):
		return errors.New("must begin with SELECT: the table is only read")
	case strings.Contains(bare, ";"):
		return errors.New("must be one statement")
	}
	return checkParameter(dialect, bare)
}

// checkParameter demands exactly one parameter. PostgreSQL's $1 and SQLite's ?1 are one however
// often they are written; each plain ? is one more.
func checkParameter(dialect Dialect, bare string) error {
	var all []string
	right := "?"
	switch dialect {
	case Postgres:
		right = "$1"
		all = regexp.MustCompile(`\$\d+`).FindAllString(bare, -1)
	case MySQL:
		all = regexp.MustCompile(`\?`).FindAllString(bare, -1)
	case SQLite:
		all = regexp.MustCompile(`\?\d*|[$:@]\w+`).FindAllString(bare, -1)
	default:
		return fmt.Errorf(`unknown driver %q: it must be "postgres", "mysql" or "sqlite"`, dialect)
	}
	if len(all) == 0 {
		return fmt.Errorf("needs the parameter %s, as in WHERE username = %s", right, right)
	}
	numbered := dialect != MySQL && (all[0] == "$1" || all[0] == "?1")
	for i, p := range all {
		if i > 0 && (!numbered || p != all[0]) || i == 0 && !numbered && p != right {
			return fmt.Errorf("must have exactly one parameter, %s", right)
		}
	}
	return nil
}

// bareSQL returns text with the inside of quotes and comments blotted out.
func bareSQL(dialect Dialect, text string) (string, error) {
	var bare strings.Builder
	for text != "" {
		end, closed := regionEnd(dialect, text)
		switch {
		case !closed:
			return "", errors.New("has a quote or comment that does not end")
		case end == 0:
			bare.WriteByte(text[0])
			end = 1
		default:
			bare.WriteByte(' ')
		}
		text = text[end:]
	}
	return bare.String(), nil
}

// regionEnd returns the length of the quote or comment that text begins with, 0 where it begins
// with neither, and whether the region ends at all.
func regionEnd(dialect Dialect, text string) (length int, closed bool) {
	switch {
	case strings.HasPrefix(text, "--"), dialect == MySQL && text[0] == '#':
		line, _, _ := strings.Cut(text, "\n")
		return len(line), true
	case strings.HasPrefix(text, "/*"):
		return after(text, 2, "*/")
	case text[0] == '\'', text[0] == '"', dialect != Postgres && text[0] == '`':
		return quoteEnd(text, dialect == MySQL && text[0] != '`')
	case dialect == SQLite && text[0] == '[':
		return after(text, 1, "]")
	case dialect == Postgres && text[0] == '$':
		tag := regexp.MustCompile(`^\$(?:[A-Za-z_]\w*)?\$`).FindString(text)
		if tag == "" {
			return 0, true
		}
		return after(text, len(tag), tag)
	}
	return 0, true
}

// after finds what ends a region that began with from bytes.
func after(text string, from int, end string) (length int, closed bool) {
	i := strings.Index(text[from:], end)
	return from + i + len(end), i >= 0
}

// quoteEnd finds the end of a quote; a doubled quote reads as two quotes side by side, which is the
// same for our purpose.
func quoteEnd(text string, backslash bool) (length int, closed bool) {
	for i := 1; i < len(text); i++ {
		switch {
		case backslash && text[i] == '\\':
			i++
		case text[i] == text[0]:
			return i + 1, true
		}
	}
	return 0, false
}
