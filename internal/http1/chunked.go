package http1

import (
	"strconv"
	"strings"
)

// maxSizeDigits is the most digits of a chunk's size: a longer chunk does not fit in a buffer.
const maxSizeDigits = 3

// chunkedBody decodes the chunks at the beginning of text, without extensions and trailers, and
// returns how many bytes of text they are (RFC 9112 §7.1). The reason is byLateBody while the rest
// of the chunks is to come. What chunkedBody takes, net/http takes for the same body (FuzzChunks).
func chunkedBody(text string) (body string, size int, why handOnReason) {
	chunks := make([]string, 0, 4)
	for {
		length, lineSize, why := chunkSize(text[size:])
		if why != notHandedOn {
			return "", 0, why
		}
		data := size + lineSize
		end := data + length
		switch {
		case len(text) < end+2:
			return "", 0, byLateBody
		case text[end:end+2] != "\r\n": // data of another length, or a trailer (RFC 9112 §7.1.2)
			return "", 0, byFraming
		}
		size = end + 2
		if length == 0 {
			return strings.Join(chunks, ""), size, notHandedOn
		}
		chunks = append(chunks, text[data:end])
	}
}

// chunkSize reads the line before a chunk's data: hexadecimal digits and CRLF (RFC 9112 §7.1).
func chunkSize(text string) (length, lineSize int, why handOnReason) {
	line, _, ended := strings.Cut(text, "\r\n")
	if !ended {
		line = strings.TrimSuffix(line, "\r")
	}
	if line == "" && !ended {
		return 0, 0, byLateBody
	}
	n, err := strconv.ParseUint(line, 16, 4*maxSizeDigits)
	switch {
	case len(line) > maxSizeDigits || err != nil:
		return 0, 0, byFraming
	case !ended:
		return 0, 0, byLateBody
	}
	return int(n), len(line) + 2, notHandedOn // #nosec G115 -- 12 bits
}
