package tokens

import (
	"encoding/binary"
	"math/bits"
)

// Token bodies are base62 in blocks of eight bytes, eleven digits each: fixed length per
// kind, selected whole by a double click, and exactly one text for any bytes.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const (
	blockBytes  = 8
	blockDigits = 11
	safeDigits  = blockDigits - 1 // never more than 64 bits: 62^10 < 2^64
)

// digitsFor is how many digits n bytes take: enough that 62^digits ≥ 256^n.
var digitsFor = [blockBytes + 1]int{0, 2, 3, 5, 6, 7, 9, 10, 11}

var digitOf = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// encodedLen is the number of digits of n bytes.
func encodedLen(n int) int {
	return n/blockBytes*blockDigits + digitsFor[n%blockBytes]
}

// appendBase62 appends the digits of src to dst.
func appendBase62(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), blockBytes)
		var block [blockBytes]byte
		copy(block[blockBytes-n:], src[:n])
		dst = appendNumber(dst, binary.BigEndian.Uint64(block[:]), digitsFor[n])
		src = src[n:]
	}
	return dst
}

// appendNumber appends v as exactly digits base62 digits.
func appendNumber(dst []byte, v uint64, digits int) []byte {
	start := len(dst)
	for range digits {
		dst = append(dst, '0')
	}
	for i := start + digits - 1; v > 0; i-- {
		dst[i] = alphabet[v%62]
		v /= 62
	}
	return dst
}

// decodeBase62 fills dst from text, whose length must be encodedLen(len(dst)). It is false for a
// foreign character and for digits that no bytes encode to.
func decodeBase62(dst []byte, text string) bool {
	if len(text) != encodedLen(len(dst)) {
		return false
	}
	for len(dst) > 0 {
		n := min(len(dst), blockBytes)
		v, ok := number(text[:digitsFor[n]])
		if !ok || (n < blockBytes && v>>(8*n) != 0) {
			return false
		}
		var block [blockBytes]byte
		binary.BigEndian.PutUint64(block[:], v)
		copy(dst[:n], block[blockBytes-n:])
		dst, text = dst[n:], text[digitsFor[n]:]
	}
	return true
}

// number reads at most a block of digits.
func number(digits string) (uint64, bool) {
	var v uint64
	for i := range min(len(digits), safeDigits) {
		d := digitOf[digits[i]]
		if d == 0xff {
			return 0, false
		}
		v = v*62 + uint64(d)
	}
	if len(digits) <= safeDigits {
		return v, true
	}
	d := digitOf[digits[safeDigits]]
	hi, lo := bits.Mul64(v, 62)
	v, carry := bits.Add64(lo, uint64(d), 0)
	return v, d != 0xff && hi == 0 && carry == 0
}
