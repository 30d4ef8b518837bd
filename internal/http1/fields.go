package http1

import (
	"net/textproto"
	"strings"
)

// fieldLine reads a header field (RFC 9112 §5).
func (p *plain) fieldLine(line string) bool {
	name, value, found := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	name = fieldName(name)
	if !found || name == "" || !consists(value, inValue) || p.fields == maxFields {
		return false
	}
	switch name {
	case "Host": // net/http does not show Host in the header either
		return p.hostField(value)
	case "Transfer-Encoding": // likewise
		return p.transferEncoding(value)
	case "Content-Length":
		if !p.contentLength(value) {
			return false
		}
	case "Connection":
		if !p.connection(value) {
			return false
		}
	case "Expect", "Upgrade", "Te", "Trailer", "Proxy-Connection": // they change how requests are read
		return false
	}
	p.add(name, value)
	return true
}

// fieldName returns a name in the form in which http.Header has it, or "" where it is none.
func fieldName(name string) string {
	switch name { // nearly all requests have these alone
	case "Host", "Authorization", "Content-Type", "Content-Length", "User-Agent", "Accept", "Accept-Encoding":
		return name
	}
	if !consists(name, inName) {
		return ""
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// add puts a value into the header.
func (p *plain) add(name, value string) {
	if others := p.header[name]; others != nil {
		p.header[name] = append(others, value)
		return
	}
	if p.fields < usualFields {
		p.values[p.fields] = value
		p.header[name] = p.values[p.fields : p.fields+1 : p.fields+1]
	} else {
		p.header[name] = []string{value}
	}
	p.fields++
}

// hostField reads Host, which stands once (RFC 9112 §3.2).
func (p *plain) hostField(value string) bool {
	if p.host != "" || value == "" { // an empty Host would let a second Host pass
		return false
	}
	p.host = value
	return consists(value, inHost)
}

// contentLength reads Content-Length, which stands once (RFC 9112 §6.2). A body of five digits does
// not fit in a buffer.
func (p *plain) contentLength(value string) bool {
	if p.length != noLength || value == "" || len(value) > 4 {
		return false
	}
	n := 0
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
		n = n*10 + int(value[i]-'0')
	}
	p.length = n
	return true
}

// transferEncoding reads Transfer-Encoding, which stands once and is chunked (RFC 9112 §6.1).
func (p *plain) transferEncoding(value string) bool {
	if p.chunked || !strings.EqualFold(value, "chunked") {
		return false
	}
	p.chunked = true
	return true
}

// connection reads Connection, which stands once and is close or keep-alive (RFC 9112 §9.6).
func (p *plain) connection(value string) bool {
	p.last = strings.EqualFold(value, "close")
	return p.header["Connection"] == nil && (p.last || strings.EqualFold(value, "keep-alive"))
}

// pragma does as net/http does with Pragma, where Cache-Control is absent (RFC 9111 §5.4).
func (p *plain) pragma() {
	pragma := p.header["Pragma"]
	if pragma != nil && pragma[0] == "no-cache" && p.header["Cache-Control"] == nil {
		p.header["Cache-Control"] = []string{"no-cache"}
	}
}
