package reference

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// keyText is what config.toml says of a key or a table, by its dotted name.
type keyText map[string]string

var (
	tableLine = regexp.MustCompile(`^(?:# )?\[+([a-z_.]+)\]+\s*(?:#\s*(.*))?$`)
	keyLine   = regexp.MustCompile(`^(?:# )?([a-z0-9_]+) = (.*)$`)
	moreLine  = regexp.MustCompile(`^#\s{10,}(\S.*)$`)
	plainLine = regexp.MustCompile(`^# (\S.*)$`)
)

// readConfigText reads the comments of config.toml: beside a key, on the indented lines below
// it, or on the lines directly above a key or a table. A key that is commented out counts too.
func readConfigText(root string) (keyText, error) {
	file, err := os.ReadFile(filepath.Join(root, "config.toml"))
	if err != nil {
		return nil, err
	}
	found := keyText{}
	tables, last, above := "", "", ""
	for line := range strings.Lines(string(file)) {
		line = strings.TrimRight(line, "\n")
		switch table, key := tableLine.FindStringSubmatch(line), keyLine.FindStringSubmatch(line); {
		case table != nil:
			tables = table[1]
			last = tables
			found.add(last, above)
			found.add(last, table[2])
			above = ""
		case key != nil:
			value, comment := divide(key[2])
			last = strings.TrimPrefix(tables+"."+strings.TrimSuffix(key[1], "_file"), ".")
			if tables == "tls" || tables == "redis" || strings.HasPrefix(key[1], "ca_") || key[1] == "token_file" {
				last = found.named(tables, key[1])
			}
			if strings.HasPrefix(line, "# ") && comment == "" && found[last] == "" {
				comment = "For example `" + value + "`."
			}
			found.add(last, above)
			found.add(last, comment)
			above = ""
		case moreLine.MatchString(line):
			found.add(last, moreLine.FindStringSubmatch(line)[1])
		case plainLine.MatchString(line):
			above = strings.TrimSpace(above + " " + plainLine.FindStringSubmatch(line)[1])
		default:
			above = ""
		}
	}
	return found, nil
}

// named is a key whose own name ends in _file, such as tls.cert_file.
func (k keyText) named(tables, key string) string {
	if short := strings.TrimSuffix(key, "_file"); short == "password" || short == "sentinel_password" || short == "url" {
		key = short
	}
	return strings.TrimPrefix(tables+"."+key, ".")
}

func (k keyText) add(name, text string) {
	if text != "" && !strings.Contains(k[name], text) {
		k[name] = strings.TrimSpace(k[name] + " " + text)
	}
}

// divide parts a value from the comment behind it.
func divide(text string) (value, comment string) {
	inText := false
	for i, c := range text {
		switch {
		case c == '"':
			inText = !inText
		case c == '#' && !inText:
			return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
		}
	}
	return strings.TrimSpace(text), ""
}
