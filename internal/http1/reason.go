package http1

// handOnReason says why a connection is given to net/http.
type handOnReason int

// The reasons for which a connection is handed on.
const (
	notHandedOn handOnReason = iota
	byHead                   // the head did not arrive whole, or is no head
	byLine                   // another method, version, or form of the target
	byField                  // a field that changes how a request is read, or not in strict grammar
	byFraming                // no length, two lengths, or chunks that are not in strict grammar
	byLength                 // longer than the buffer of a connection
	byLateBody               // the body did not arrive in time
	byHTTP2
	handOnReasons
)

// String returns the reason as metrics name it.
func (r handOnReason) String() string {
	return [...]string{"plain", "head", "request_line", "field", "framing", "length", "late_body", "http2"}[r]
}
