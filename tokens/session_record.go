package tokens

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The record of a session: fields of fixed size, the client's id, and a body that scripts only
// copy. Scripts get these places by recordFields. The first byte is the version of the layout.
const (
	sessionV1 = 1
	sessionV2 = 2 // behind the body: the confirmation. Versions before cannot read it

	atVersion     = 0
	atCurrent     = atVersion + 1                   // hash of the refresh token that is to be used next
	atPrevious    = atCurrent + len(Hash{})         // hash of the refresh token that was used last
	atGeneration  = atPrevious + len(Hash{})        // how many rotations there were
	atUserEpoch   = atGeneration + generationDigits // at login
	atClientEpoch = atUserEpoch + len(Epoch{})      // at login
	atExpires     = atClientEpoch + len(Epoch{})    // the absolute end
	atLastUsed    = atExpires + timeDigits          // login or last rotation
	atCreated     = atLastUsed + timeDigits         // login
	atMarks       = atCreated + timeDigits          // see marksV1
	atAddress     = atMarks + len(marksV1)          // coarse network address, padded with blanks
	atClientSize  = atAddress + MaxAddress          // length of the client's id
	atClient      = atClientSize + clientSizeDigits // the client's id, and then the body

	generationDigits = 8  // hexadecimal
	timeDigits       = 13 // milliseconds since 1970, until the year 2286
	clientSizeDigits = 4
)

// marksV1 is what this version writes as marks. Versions before counted suspicious retries there.
const marksV1 = "000"

// sessionFields names the fields for scripts.
func sessionFields() []field {
	return []field{
		{"VERSION", atVersion, atCurrent},
		{"CURRENT", atCurrent, atPrevious},
		{"PREVIOUS", atPrevious, atGeneration},
		{"GENERATION", atGeneration, atUserEpoch},
		{"USER_EPOCH", atUserEpoch, atClientEpoch},
		{"CLIENT_EPOCH", atClientEpoch, atExpires},
		{"EXPIRES", atExpires, atLastUsed},
		{"LAST_USED", atLastUsed, atCreated},
		{"CREATED", atCreated, atMarks},
		{"MARKS", atMarks, atAddress},
		{"ADDRESS", atAddress, atClientSize},
		{"CLIENT_SIZE", atClientSize, atClient},
	}
}

// appendSessionHead writes the fields up to the generation. bound: the session has a confirmation,
// or gets one.
func appendSessionHead(dst []byte, bound bool, current, previous Hash, generation uint32) []byte {
	version := byte(sessionV1)
	if bound {
		version = sessionV2
	}
	dst = append(dst, version)
	dst = append(dst, current[:]...)
	dst = append(dst, previous[:]...)
	return appendPadded(dst, uint64(generation), 16, generationDigits)
}

// appendSessionTail writes the fields after the times, and the body.
func appendSessionTail(dst []byte, s *Session) []byte {
	dst = append(dst, marksV1...)
	dst = append(dst, paddedAddress(s.Address)...)
	dst = appendPadded(dst, uint64(len(s.ClientID)), 10, clientSizeDigits)
	dst = append(dst, s.ClientID...)
	return appendSessionBody(dst, s)
}

func appendSessionBody(dst []byte, s *Session) []byte {
	dst = append(dst, s.Credential[:]...)
	dst = appendText(dst, s.Subject)
	dst = appendText(dst, s.Username)
	dst = appendText(dst, scopeWithDevice(s))
	dst = appendTexts(dst, s.Audience)
	if !s.Confirmation.IsZero() {
		dst = appendBoth(dst, s.Confirmation)
	}
	return dst
}

// appendPadded writes n in at least width digits; width is at most 13.
func appendPadded(dst []byte, n uint64, base, width int) []byte {
	var b [64]byte
	digits := strconv.AppendUint(b[:0], n, base)
	const zeros = "0000000000000"
	return append(append(dst, zeros[:max(width-len(digits), 0)]...), digits...)
}

func paddedAddress(address string) string {
	const blank = "                        "
	return address[:min(len(address), MaxAddress)] + blank[min(len(address), MaxAddress):]
}

// parseSession reads a record. It returns an error that wraps ErrRecord.
func parseSession(value []byte, tag Tag, id SessionID) (*Session, error) {
	if len(value) < atClient || value[atVersion] != sessionV1 && value[atVersion] != sessionV2 {
		return nil, fmt.Errorf("%w: session: version or length", ErrRecord)
	}
	s := &Session{Tag: tag, ID: id}
	size, err := s.parseHeader(value)
	if err != nil {
		return nil, fmt.Errorf("%w: session: header", ErrRecord)
	}
	r := recordReader{rest: value[atClient:]}
	s.ClientID = string(r.take(size))
	copy(s.Credential[:], r.take(len(s.Credential)))
	s.Subject, s.Username, s.Scope, s.Audience = r.text(), r.text(), r.text(), r.texts()
	if value[atVersion] == sessionV2 {
		s.Confirmation = r.both()
	}
	if r.failed || len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: session: body", ErrRecord)
	}
	s.Scope, s.Device = cutDevice(s.Scope)
	return s, nil
}

// parseHeader reads the fields of fixed size, and returns the length of the client's id.
func (s *Session) parseHeader(value []byte) (clientSize int, err error) {
	s.UserEpoch, s.ClientEpoch = Epoch(value[atUserEpoch:]), Epoch(value[atClientEpoch:])
	s.Address = strings.TrimRight(string(value[atAddress:atClientSize]), " ")
	generation, err0 := strconv.ParseUint(string(value[atGeneration:atUserEpoch]), 16, 32)
	expires, err1 := parseTime(value[atExpires:atLastUsed])
	lastUsed, err2 := parseTime(value[atLastUsed:atCreated])
	created, err3 := parseTime(value[atCreated:atMarks])
	size, err4 := strconv.ParseUint(string(value[atClientSize:atClient]), 10, 16)
	s.Generation = uint32(generation)
	s.Expires, s.LastUsed, s.Created = expires, lastUsed, created
	return int(size), errors.Join(err0, err1, err2, err3, err4)
}

func parseTime(digits []byte) (time.Time, error) {
	ms, err := strconv.ParseInt(string(digits), 10, 64)
	return time.UnixMilli(ms), err
}

// The record of a retry response. Its first byte is a '0' that versions before counted with.
const (
	atResponseAccess  = 1                            // id of the access token in the response
	atResponseRequest = atResponseAccess + len(ID{}) // hash of what the client asked for
	atResponseSealed  = atResponseRequest + 16
)

// appendRetryRecord writes the record: the id of the access token in the response, the hash of what
// the client asked for, and the sealed response.
func appendRetryRecord(dst []byte, r *Rotation) []byte {
	id := r.Access.ID()
	dst = append(dst, '0')
	dst = append(dst, id[:]...)
	dst = append(dst, r.RequestHash[:]...)
	return append(dst, r.RetryResponse...)
}
