package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// description is an OpenAPI document.
type description struct{ whole json.RawMessage }

func readDescription(root, name string) (*description, error) {
	text, err := os.ReadFile(filepath.Join(root, name))
	return &description{text}, err
}

// resolve follows $ref.
func (d *description) resolve(o json.RawMessage) json.RawMessage {
	if ref := textOf(o, "$ref"); ref != "" {
		return d.resolve(get(d.whole, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
	}
	return o
}

// operation is one method of one path.
type operation struct {
	method, path string
	body         json.RawMessage
}

func (d *description) operations() (list []operation) {
	for _, path := range members(get(d.whole, "paths")) {
		for _, method := range members(path.value) {
			if method.name != "parameters" {
				list = append(list, operation{strings.ToUpper(method.name), path.name, method.value})
			}
		}
	}
	return list
}

// overview is the table of the endpoints.
func (d *description) overview() string {
	var rows [][]string
	for _, o := range d.operations() {
		rows = append(rows, []string{fmt.Sprintf("[`%s %s`](#%s)", o.method, o.path, textOf(o.body, "operationId")), textOf(o.body, "summary")})
	}
	return table([]string{"endpoint", "what it does"}, rows)
}

// adminOverview is the table of the admin listener's endpoints.
func (d *description) adminOverview() string {
	who := map[string]string{"admin": "`grantor:admin`", "registrar": "`grantor:clients`", "registration": "the registration access token"}
	var rows [][]string
	for _, o := range d.operations() {
		asked := "anyone who reaches the listener"
		for _, scheme := range listOf[map[string][]string](o.body, "security") {
			for name := range scheme {
				asked = name
				if who[name] != "" {
					asked = who[name]
				}
			}
		}
		rows = append(rows, []string{quoted(o.method + " " + o.path), textOf(o.body, "summary"), asked})
	}
	return table([]string{"endpoint", "what it does", "token"}, rows)
}

// endpoints writes a section for each operation.
func (d *description) endpoints() string {
	var b strings.Builder
	for _, o := range d.operations() {
		fmt.Fprintf(&b, "%s\n\n### %s: `%s %s`\n\n", anchorOf(textOf(o.body, "operationId")), strings.TrimSuffix(textOf(o.body, "summary"), "?"), o.method, o.path)
		fmt.Fprintf(&b, "%s\n\n", textOf(o.body, "description"))
		d.request(&b, o)
		d.answers(&b, o)
	}
	return b.String()
}

func anchorOf(id string) string { return fmt.Sprintf(`<a id="%s"></a>`, id) }

func (d *description) request(b *strings.Builder, o operation) {
	var rows [][]string
	for _, p := range listOf[json.RawMessage](o.body, "parameters") {
		p = d.resolve(p)
		rows = append(rows, []string{quoted(textOf(p, "name")), textOf(p, "in"), textOf(p, "description")})
	}
	if len(rows) > 0 {
		b.WriteString(table([]string{"parameter", "in", "meaning"}, rows) + "\n")
	}
	for _, media := range members(get(o.body, "requestBody", "content")) {
		schemas := listOf[json.RawMessage](media.value, "schema", "oneOf")
		if schemas == nil {
			schemas = []json.RawMessage{get(media.value, "schema")}
		}
		for _, s := range schemas {
			s = d.resolve(s)
			if title := textOf(s, "title"); title != "" {
				fmt.Fprintf(b, "**%s**\n\n", title)
			}
			b.WriteString(d.properties("parameter", s) + "\n")
		}
	}
}

// properties is the table of what an object holds. ClientInBody is described once.
func (d *description) properties(what string, schema json.RawMessage) string {
	var rows [][]string
	required := listOf[string](schema, "required")
	add := func(s json.RawMessage) {
		for _, m := range members(get(s, "properties")) {
			always := ""
			if slices.Contains(required, m.name) {
				always = "yes"
			}
			rows = append(rows, []string{quoted(m.name), kind(m.value), always, meaning(m.value)})
		}
	}
	add(schema)
	for _, part := range listOf[json.RawMessage](schema, "allOf") {
		if textOf(part, "$ref") == "#/components/schemas/ClientInBody" {
			rows = append(rows, []string{"client authentication", "", "yes", "[As a header, or in the body](#client-authentication)."})
			continue
		}
		add(d.resolve(part))
	}
	return table([]string{what, "type", "always", "meaning"}, rows)
}

// kind is the type of a member, for people.
func kind(schema json.RawMessage) string {
	if list := listOf[string](schema, "type"); len(list) > 0 {
		return strings.Join(list, " or ")
	}
	t := textOf(schema, "type")
	if t == "array" {
		return "list of " + textOf(schema, "items", "type") + "s"
	}
	return t
}

// meaning is the description of a member, with the values that it may have.
func meaning(schema json.RawMessage) string {
	text := textOf(schema, "description")
	var values []string
	if v := get(schema, "const"); v != nil {
		values = append(values, quoted(strings.Trim(string(v), `"`)))
	}
	for _, v := range listOf[string](schema, "enum") {
		if v != "" {
			values = append(values, quoted(v))
		}
	}
	if len(values) == 0 {
		return text
	}
	return strings.TrimSpace(strings.Join(values, ", ") + ". " + text)
}

func (d *description) answers(b *strings.Builder, o operation) {
	var rows [][]string
	for _, r := range members(get(o.body, "responses")) {
		response := d.resolve(r.value)
		var headers []string
		for _, h := range members(get(response, "headers")) {
			if h.name != "X-Request-Id" && h.name != "Cache-Control" {
				headers = append(headers, quoted(h.name))
			}
		}
		var found []string
		for _, e := range listOf[string](response, "content", "application/json", "schema", "properties", "error", "enum") {
			found = append(found, fmt.Sprintf("[`%s`](#error-%s)", e, e))
		}
		rows = append(rows, []string{r.name, textOf(response, "description"), strings.Join(found, ", "), strings.Join(headers, ", ")})
		if r.name == "200" {
			d.success(b, response)
		}
	}
	b.WriteString(table([]string{"status", "meaning", "`error`", "headers"}, rows) + "\n")
}

// success describes the members of a 200, with an example.
func (d *description) success(b *strings.Builder, response json.RawMessage) {
	content := get(response, "content", "application/json")
	schema := d.resolve(get(content, "schema"))
	list := listOf[json.RawMessage](schema, "oneOf")
	if list == nil {
		list = []json.RawMessage{schema}
	}
	example := get(content, "example")
	for i, s := range list {
		s = d.resolve(s)
		if len(members(get(s, "properties"))) == 0 {
			continue
		}
		title := "The answer"
		if t := textOf(s, "title"); t != "" {
			title = t
		}
		fmt.Fprintf(b, "**%s**\n\n%s\n", title, d.properties("member", s))
		if named := members(get(content, "examples")); i < len(named) {
			example = get(named[i].value, "value")
		}
		if example != nil {
			var line bytes.Buffer
			if json.Compact(&line, example) == nil {
				fmt.Fprintf(b, "```json\n%s\n```\n\n", line.String())
			}
		}
	}
}

// authentication is the table of the ways in which a client says who it is.
func (d *description) authentication() string {
	return d.properties("parameter", d.resolve(json.RawMessage(`{"$ref":"#/components/schemas/ClientInBody"}`)))
}

// claims is the table of the claims of a JWT access token.
func (d *description) claims() string {
	return d.properties("claim", d.resolve(json.RawMessage(`{"$ref":"#/components/schemas/AccessTokenClaims"}`)))
}
