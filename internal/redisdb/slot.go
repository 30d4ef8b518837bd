package redisdb

import (
	"strconv"
	"strings"
	"sync"
)

// slotCount is how many slots a Redis Cluster has.
const slotCount = 16384

// slotOf is the slot of a key: CRC-16 (XMODEM) of the key, or of the text between its first brace
// and the next closing one, if there is any.
func slotOf(key string) int {
	if begin := strings.IndexByte(key, '{'); begin >= 0 {
		if n := strings.IndexByte(key[begin+1:], '}'); n > 0 {
			key = key[begin+1 : begin+1+n]
		}
	}
	return int(crc16(key)) % slotCount
}

func crc16(s string) (crc uint16) {
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// slotTags has a short text of each slot, for keys that must be in the slot of another key. It is
// computed once, in some milliseconds, and only in a Cluster.
var slotTags = sync.OnceValue(func() *[slotCount]string {
	var tags [slotCount]string
	for i, missing := uint64(0), slotCount; missing > 0; i++ {
		text := strconv.FormatUint(i, 36)
		if slot := slotOf(text); tags[slot] == "" {
			tags[slot] = text
			missing--
		}
	}
	return &tags
})
