package feed

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// maxPosition is the length of the longest position, in bytes: two numbers and a nonce, and more
// than that. Nodes remember those that are gone.
const maxPosition = 128

// Valid says whether p can be a position of this version: "" or what a Page said. One that can
// never have been in the stream is read as one that is not there any more.
func (p Position) Valid() bool {
	_, _, ok := p.parts()
	return ok || p == ""
}

// parts returns the number of an entry in Redis, and its nonce.
func (p Position) parts() (id string, nonce []byte, ok bool) {
	if len(p) > maxPosition {
		return "", nil, false
	}
	id, text, found := strings.Cut(string(p), ".")
	ms, turn, both := strings.Cut(id, "-")
	nonce, _ = base64.RawURLEncoding.DecodeString(text)
	if !found || !both || !isNumber(ms) || !isNumber(turn) || text == "" || p != positionOf(id, nonce) {
		return "", nil, false
	}
	return id, nonce, true
}

// cutOff says that a stream which now begins at first ended after p behind it: somebody trimmed
// ends away that a verifier at p has not heard of. It did not only forget what is older than
// oldest. After a failover that lost the end of the stream, first is before p.
func (p Position) cutOff(first Position, oldest time.Time) bool {
	at, turn := p.number()
	begins, firstTurn := first.number()
	return at >= uint64(max(oldest.UnixMilli(), 0)) && (begins > at || begins == at && firstTurn > turn)
}

// number returns the number of an entry: Redis's time in ms, and which of that time it is.
func (p Position) number() (ms, turn uint64) {
	id, _, _ := p.parts()
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64)
	turn, _ = strconv.ParseUint(right, 10, 64)
	return ms, turn
}

func isNumber(text string) bool {
	n, err := strconv.ParseUint(text, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == text
}

func positionOf(id string, nonce []byte) Position {
	return Position(id + "." + base64.RawURLEncoding.EncodeToString(nonce))
}
