package tokens

import (
	"encoding/binary"
	"fmt"
)

// maxAudiences bounds what a broken record may claim, so that it costs nothing.
const maxAudiences = 1 << 8

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendTexts(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, text := range list {
		dst = appendText(dst, text)
	}
	return dst
}

// recordReader reads a record from its front. After the first failure it returns zeros.
type recordReader struct {
	rest   []byte
	failed bool
}

// end returns an error if a read failed or something is left.
func (d *recordReader) end() error {
	if d.failed || len(d.rest) > 0 {
		return fmt.Errorf("%w: its parts do not fit its length", ErrRecord)
	}
	return nil
}

func (d *recordReader) take(n int) []byte {
	if d.failed || n > len(d.rest) {
		d.failed = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *recordReader) byte() byte {
	if b := d.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// uvarint reads a number of at most limit.
func (d *recordReader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.failed || n <= 0 || v > limit {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *recordReader) text() string { return string(d.take(int(d.uvarint(1 << 16)))) }

// texts reads a list with its length before it; an empty list is nil.
func (d *recordReader) texts() (list []string) {
	for range d.uvarint(maxAudiences) {
		list = append(list, d.text())
	}
	return list
}
