package http1

import (
	"net/http"
	"net/textproto"
	"strings"
)

// maxFields is the most header fields of a plain request.
const maxFields = 24

// handOnReason says why a connection is net/http's.
type handOnReason int

// The reasons. Plain requests have none.
const (
	plainForm  handOnReason = iota
	byHead                  // the head did not come whole in one piece, or is no head
	byLine                  // another method, version, or form of the target
	byField                 // a field that changes how the request is read, or is not in pure grammar
	byFraming               // no length, chunks, or a length that does not belong there
	byLength                // longer than a connection's buffer
	byLateBody              // the body did not come in time
	byHTTP2
	reasons
)

// String names the reason as metrics do.
func (r handOnReason) String() string {
	return [...]string{"plain", "head", "request_line", "field", "framing", "length", "late_body", "http2"}[r]
}

// plain is a request as it was read: every text is a part of one.
type plain struct {
	method, path, host string
	last               bool // the client wants no other (Connection: close)
	head               int  // bytes of the head, its last empty line too
	length             int  // bytes of the body behind it
	header             http.Header
	values             [maxFields]string // what header's lists lie in
	fields             int
}

// parse reads the head of a request from the begin of text, and says whether it is whole and plain. What it accepts, net/http accepts, and
// takes for the same request (FuzzParse).
func (p *plain) parse(text string) handOnReason {
	end := strings.Index(text, "\r\n\r\n")
	if end < 0 {
		return byHead
	}
	p.head, p.length, p.header = end+4, -1, make(http.Header, maxFields/2)
	line, rest, _ := strings.Cut(text[:end+2], "\r\n")
	if !p.requestLine(line) {
		return byLine
	}
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if !p.field(line) {
			return byField
		}
	}
	hasLength := p.length >= 0
	switch {
	case p.host == "": // RFC 9112 §3.2
		return byField
	case hasLength != (p.method == http.MethodPost):
		return byFraming
	}
	p.length = max(p.length, 0)
	if pragma := p.header["Pragma"]; pragma != nil && pragma[0] == "no-cache" && p.header["Cache-Control"] == nil {
		p.header["Cache-Control"] = []string{"no-cache"} // as net/http does (RFC 9111 §5.4)
	}
	return plainForm
}

// requestLine reads GET, HEAD or POST of a path in unreserved characters (RFC 3986 §2.3).
func (p *plain) requestLine(line string) bool {
	target, ok := strings.CutSuffix(line, " HTTP/1.1")
	if !ok {
		return false
	}
	if path, ok := strings.CutPrefix(target, "POST /"); ok {
		p.method, target = http.MethodPost, path
	} else if path, ok := strings.CutPrefix(target, "GET /"); ok {
		p.method, target = http.MethodGet, path
	} else if path, ok := strings.CutPrefix(target, "HEAD /"); ok {
		p.method, target = http.MethodHead, path
	} else {
		return false
	}
	for i := range len(target) {
		if c := target[i]; kinds[c]&inPath == 0 || c == '/' && i == 0 { // "//host" would be another form
			return false
		}
	}
	p.path = line[len(p.method)+1 : len(line)-len(" HTTP/1.1")]
	return true
}

// field reads a header field (RFC 9112 §5).
func (p *plain) field(line string) bool {
	colon := strings.IndexByte(line, ':')
	if colon <= 0 || p.fields == maxFields {
		return false
	}
	name, value := line[:colon], strings.Trim(line[colon+1:], " \t")
	for i := range len(name) {
		if kinds[name[i]]&inName == 0 {
			return false
		}
	}
	for i := range len(value) {
		if kinds[value[i]]&inValue == 0 {
			return false
		}
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	switch name {
	case "Host":
		return p.hostField(value)
	case "Content-Length":
		if p.length >= 0 || !p.lengthField(value) {
			return false
		}
	case "Connection":
		p.last = strings.EqualFold(value, "close")
		if p.header[name] != nil || !p.last && !strings.EqualFold(value, "keep-alive") {
			return false
		}
	case "Transfer-Encoding", "Expect", "Upgrade", "Te", "Trailer", "Proxy-Connection":
		return false // they change how a connection or a request is read
	}
	if others := p.header[name]; others != nil {
		p.header[name] = append(others, value)
		return true
	}
	p.values[p.fields] = value
	p.header[name] = p.values[p.fields : p.fields+1 : p.fields+1]
	p.fields++
	return true
}

func (p *plain) hostField(value string) bool {
	if p.host != "" || value == "" { // an empty one would let a second one pass (RFC 9112 §3.2)
		return false
	}
	for i := range len(value) {
		if kinds[value[i]]&inHost == 0 {
			return false
		}
	}
	p.host = value
	return true
}

// lengthField reads up to four digits: what is longer than a buffer is not plain.
func (p *plain) lengthField(value string) bool {
	if value == "" || len(value) > 4 {
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

// Where a character may stand. Each set is a part of what the RFCs allow.
const (
	inPath  = 1 << iota // unreserved and "/"
	inName              // of a field: letters, digits, "-" and "_" (RFC 9110 §5.1)
	inValue             // visible ASCII, space and tab (RFC 9110 §5.5)
	inHost              // letters, digits and what addresses and ports need
)

// kinds says where each byte may stand.
var kinds = func() (k [256]uint8) {
	for c := range k {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80 || '0' <= c && c <= '9'
		if letter || strings.IndexByte("-._~/", byte(c)) >= 0 {
			k[c] |= inPath
		}
		if letter || c == '-' || c == '_' {
			k[c] |= inName
		}
		if c >= 0x20 && c < 0x7f || c == '\t' {
			k[c] |= inValue
		}
		if letter || strings.IndexByte("-._:[]", byte(c)) >= 0 {
			k[c] |= inHost
		}
	}
	return k
}()
