package reference

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/config"
)

// configPage writes the tables of config.md, and names keys that config.toml does not explain.
type configPage struct {
	text       keyText
	restart    []string        // keys and tables that take effect at the next start
	members    json.RawMessage // of a client, in server/openapi.json
	admin      *description
	complaints []string
	out        strings.Builder
}

func (s *Source) configTables(admin *description) (string, []string, error) {
	text, err := readConfigText(s.Root)
	if err != nil {
		return "", nil, err
	}
	p := &configPage{text: text, restart: s.restartKeys(), admin: admin,
		members: get(admin.whole, "components", "schemas", "ClientMembers", "properties")}
	if len(p.restart) == 0 {
		p.complaints = append(p.complaints, "node/reload.go: keepUntilRestart lists no keys that this scan understands")
	}
	p.complaints = append(p.complaints, s.explainedTwice()...)
	p.table("", reflect.ValueOf(config.Default()).Elem())
	return p.out.String(), p.complaints, nil
}

// explainedTwice names the keys that a comment in package config explains beside config.toml.
func (s *Source) explainedTwice() (complaints []string) {
	s.inspect(func(p *sourcePackage, n ast.Node) {
		field, ok := n.(*ast.Field)
		if !ok || p.path != "config" || field.Tag == nil || field.Comment == nil || strings.Contains(field.Tag.Value, `"-"`) {
			return
		}
		complaints = append(complaints, s.at(n)+": config.toml alone explains a key; move the comment there")
	})
	return complaints
}

// restartKeys reads the list of keepUntilRestart.
func (s *Source) restartKeys() (keys []string) {
	s.inspect(func(p *sourcePackage, n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || p.path != "node" || f.Name.Name != "keepUntilRestart" {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if row, ok := n.(*ast.CompositeLit); ok && row.Type == nil && len(row.Elts) > 0 {
				keys = append(keys, text(p, row.Elts[0]))
			}
			return true
		})
	})
	return keys
}

// takesEffect says when a change of a key does.
func (p *configPage) takesEffect(key string) string {
	for _, r := range p.restart {
		if key == r || strings.HasPrefix(key, r+".") {
			return "restart"
		}
	}
	return "reload"
}

// table writes the keys of one table, then the tables below it.
func (p *configPage) table(path string, v reflect.Value) {
	title := "Top level"
	if path != "" {
		title = "`[" + path + "]`"
	}
	var rows [][]string
	var below []func()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := tagOf(field)
		if name == "" {
			continue
		}
		key := strings.TrimPrefix(path+"."+name, ".")
		switch value := v.Field(i); {
		case value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[time.Time]():
			below = append(below, func() { p.table(key, value) })
		case name == "clients":
			below = append(below, p.clients)
		case value.Kind() == reflect.Map:
			below = append(below, func() { p.entries("`["+key+"]`", key, value.Type().Elem()) })
		case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
			below = append(below, func() { p.entries("`[["+key+"]]`", key, value.Type().Elem()) })
		default:
			rows = append(rows, p.row(key, value))
		}
	}
	if len(rows) > 0 || p.text[path] != "" {
		p.head(title, path)
	}
	if len(rows) > 0 {
		p.out.WriteString(table([]string{"key", "type", "default", "change by", "meaning", "environment"}, rows) + "\n")
	}
	for _, write := range below {
		write()
	}
}

func (p *configPage) head(title, path string) {
	fmt.Fprintf(&p.out, "### %s\n\n", title)
	if text := p.text[path]; path != "" && text != "" {
		fmt.Fprintf(&p.out, "%s\n\n", sentence(text))
	}
}

func (p *configPage) row(key string, v reflect.Value) []string {
	return []string{anchor("key", key) + quoted(key[strings.LastIndexByte(key, '.')+1:]), typeOf(v.Type()), defaultOf(v),
		p.takesEffect(key), p.meaning(key, v), variableOf(key, v.Type())}
}

// meaning is what config.toml says of a key.
func (p *configPage) meaning(key string, v reflect.Value) string {
	text := inFile.ReplaceAllString(p.text[key], "")
	if text == "" {
		text = entryTexts[key]
	}
	if strings.HasPrefix(text, "or ") && v.Kind() == reflect.String && v.Len() > 0 {
		text = fmt.Sprintf("%q, %s", v.String(), text)
	}
	if text == "" {
		p.complaints = append(p.complaints, "config.toml: the key "+key+" has no comment")
	}
	return sentence(text)
}

// inFile says that a secret may stand in config.toml itself, which the page says of all secrets.
var inFile = regexp.MustCompile(`^or [a-z_]+ = "[^"]*"(?:[,:] ?|$)`)

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	first := strings.SplitN(text, " ", 2)[0]
	if strings.ContainsAny(first, "_=.\"`") || first == "true:" || first == "false:" || strings.HasPrefix(text, "recheck") {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// entries writes the members of an array of tables, or of a table with free names.
func (p *configPage) entries(title, path string, t reflect.Type) {
	p.head(title, path)
	if t.Kind() == reflect.Interface { // the names are free, and so are the values
		return
	}
	var rows [][]string
	for i := range t.NumField() {
		if name := tagOf(t.Field(i)); name != "" {
			meaning := p.text[path+"."+name]
			if meaning == "" {
				meaning = entryTexts[path+"."+name]
			}
			if meaning == "" {
				p.complaints = append(p.complaints, "config.toml: the key "+path+"."+name+" has no comment")
			}
			rows = append(rows, []string{anchor("key", path+"."+name) + quoted(name), typeOf(t.Field(i).Type), sentence(meaning)})
		}
	}
	p.out.WriteString(table([]string{"key", "type", "meaning"}, rows) + "\n")
}

// entryTexts explain keys that stand in one line of config.toml with others.
var entryTexts = map[string]string{ //nolint:gochecknoglobals // never changed
	"redis.password":          "the password of the user",
	"redis.sentinel_password": "the password for the Sentinels",
	"users.sql.dsn":           "how to reach the database, with user and password: postgres://app@db/app",
	"scopes.description":      "for people",
	"scopes.resource":         "the URI of the API, or a name of audience_names: the aud of tokens with the scope, byte for byte (RFC 8707)",
	"scopes.jwt_typ":          "at+jwt or JWT: the type of JWTs for the resource; JWT is for verifiers that refuse at+jwt",
	"scopes.implies":          "who has this scope has those scopes as well",
	"scopes.claims":           "custom claims that only tokens with this scope carry",
	"trusted_issuers.issuer":  "the iss of the platform's JWTs; or the trust domain of SPIFFE JWT-SVIDs, spiffe://example.org",
	"users.config.scope":      "the most that a token of the user may carry; absent: [users] scope",
	"users.config.disabled":   "true: the user cannot log in, and sessions end at the next refresh",
}

// clients writes the members of a client, as the admin API describes them.
func (p *configPage) clients() {
	p.head("`[[clients]]`", "")
	p.out.WriteString("A client of config.toml. The same members are those of the admin API, of `grantor client show` and of `grantor client import`.\n\n")
	var rows [][]string
	for _, m := range members(p.members) {
		if slices.Contains([]string{"software_id", "software_version", "contacts", "client_uri"}, m.name) {
			continue // config.toml has comments instead
		}
		s := p.admin.resolve(m.value)
		rows = append(rows, []string{anchor("key", "clients."+m.name) + quoted(m.name), clientType(m.name, s), meaning(s)})
	}
	p.out.WriteString(table([]string{"key", "type", "meaning"}, rows) + "\n")
}

func clientType(name string, schema json.RawMessage) string {
	switch {
	case strings.HasSuffix(name, "_ttl"), name == "retry_window":
		return "duration"
	case name == "secrets":
		return "list of tables"
	}
	return strings.NewReplacer("boolean", "true or false", "string", "text", "object", "table").Replace(kind(schema))
}

// tagOf is the name of a field in a file; "": it has none.
func tagOf(f reflect.StructField) string {
	name, tagged := f.Tag.Lookup("toml")
	if !tagged {
		name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	}
	if name == "-" {
		return ""
	}
	return name
}

// typeOf is the type of a key, for people.
func typeOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[config.SecretText]():
		return "secret"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[time.Time]():
		return "date and time"
	case t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[config.SecretText]():
		return "list of secrets"
	case t.Kind() == reflect.Slice:
		return "list of texts"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "number"
	case t.Kind() == reflect.Struct:
		return "table"
	}
	return "text"
}

// defaultOf is the value of an absent key, as config.toml writes it.
func defaultOf(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		if day := 24 * time.Hour; value > 0 && value%day == 0 {
			return quoted(fmt.Sprintf(`"%dd"`, value/day))
		}
		text := strings.TrimSuffix(value.String(), "0s")
		text = strings.TrimSuffix(text, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(text, "h0m")]
		return quoted(`"` + text + `"`)
	case time.Time, config.SecretText:
		return "not set"
	case string:
		return quoted(`"` + value + `"`)
	}
	if v.Kind() == reflect.Slice {
		return "`[]`"
	}
	return quoted(fmt.Sprint(v.Interface()))
}

// variableOf is the environment variable of a key. include has none.
func variableOf(key string, t reflect.Type) string {
	if key == "include" {
		return ""
	}
	name := "GRANTOR_" + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
	if t == reflect.TypeFor[config.SecretText]() {
		return quoted(name) + ", " + quoted(name+"_FILE")
	}
	return quoted(name)
}
