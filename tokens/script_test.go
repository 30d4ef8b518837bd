package tokens

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestScriptsNameWhatTheyRead: no script has a place in a record as a number. It names a field,
// whose place comes from the constants of the encoders.
func TestScriptsNameWhatTheyRead(t *testing.T) {
	quoted, comment := regexp.MustCompile(`'[^']*'`), regexp.MustCompile(`--.*`)
	number, name := regexp.MustCompile(`\b\d\w*`), regexp.MustCompile(`\b[A-Z][A-Z0-9_]+\b`)
	plain := map[string][]string{
		"clock.lua":  {"3"},      // digits of milliseconds
		"served.lua": {"2", "2"}, // HSCAN answers {cursor, {field, value …}}
	}
	files, err := fs.Glob(luaFiles, "lua/*.lua")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			source, err := luaFiles.ReadFile(file)
			require.NoError(t, err)
			code := quoted.ReplaceAllString(comment.ReplaceAllString(string(source), ""), "''")
			numbers := slices.DeleteFunc(number.FindAllString(code, -1), func(n string) bool { return n == "0" || n == "1" })
			for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
				require.Contains(t, plain[strings.TrimPrefix(file, "lua/")], n, "a number without a name")
			}
			left := name.FindAllString(expand(code), -1)
			for _, word := range left {
				require.Contains(t, []string{"KEYS", "ARGV"}, word, "a name that script.go does not know")
			}
		})
	}
}

// TestFieldsAreWhereTheEncodersWrite writes records and looks for each field at its place.
func TestFieldsAreWhereTheEncodersWrite(t *testing.T) {
	current, previous := HashText("current"), HashText("previous")
	s := &Session{ClientID: "app", ClientEpoch: Epoch{7}, UserEpoch: Epoch{8}, Subject: "u", Address: "192.0.2.0/24", Generation: 0xabc}
	text := appendSessionHead(nil, false, current, previous, s.Generation)
	text = append(append(text, s.UserEpoch[:]...), s.ClientEpoch[:]...)
	text = append(text, "1000000000001"+"1000000000002"+"1000000000003"...) // as start_session.lua writes times
	text = appendSessionTail(text, s)
	retry := appendRetryRecord(nil, &Rotation{Access: Token{Hash: current}, RequestHash: [16]byte{5}, RetryResponse: []byte("sealed")})
	issued := &Record{ClientID: "app", ClientEpoch: Epoch{7}, IssuedAt: time.Unix(1_800_000_000, 0), TTL: time.Minute}
	client, user := appendClientRecord(nil, current, issued), appendUserRecord(nil, current, issued)
	key := (&APIKey{Hash: current, Created: time.Unix(1_800_000_000, 0), TTL: time.Minute}).entry()
	want := map[string][]byte{
		"KEY_ENDS": []byte("1800000060000"),
		"VERSION":  {sessionV1}, "CURRENT": current[:], "PREVIOUS": previous[:], "GENERATION": []byte("00000abc"),
		"USER_EPOCH": {8, 0, 0, 0, 0, 0, 0, 0}, "CLIENT_EPOCH": {7, 0, 0, 0, 0, 0, 0, 0},
		"EXPIRES": []byte("1000000000001"), "LAST_USED": []byte("1000000000002"), "CREATED": []byte("1000000000003"),
		"MARKS": []byte("000"), "ADDRESS": []byte("192.0.2.0/24            "), "CLIENT_SIZE": []byte("0003"),
		"RESPONSE_ACCESS": current[:16], "RESPONSE_REQUEST": append([]byte{5}, make([]byte, 15)...),
		"RECORD_HASH": current[16:], "RECORD_EPOCH": {7, 0, 0, 0, 0, 0, 0, 0},
	}
	for _, f := range recordFields() {
		record := text
		switch {
		case strings.HasPrefix(f.name, "RESPONSE_"):
			record = retry
		case strings.HasPrefix(f.name, "RECORD_"):
			record = client
		case strings.HasPrefix(f.name, "KEY_"):
			record = key
		}
		require.Equal(t, string(want[f.name]), string(record[f.at:f.end]), f.name)
		delete(want, f.name)
	}
	require.Empty(t, want, "every field is looked for")
	require.Equal(t, "app", string(text[atClient:][:3]))
	require.Equal(t, "sealed", string(retry[atResponseSealed:]))
	require.True(t, bytes.HasPrefix(user[atRecordHash:], current[16:]))
	seconds, _ := binary.Uvarint(client[atRecordIssued:])
	require.EqualValues(t, issued.IssuedAt.Unix(), seconds)
	parsed, err := parseSession(text, s.Tag, s.ID)
	require.NoError(t, err)
	require.Equal(t, s.Generation, parsed.Generation)
}

// TestExpand shows what becomes of names.
func TestExpand(t *testing.T) {
	require.Equal(t, "slice(session, 2, 33) slice(session, 34, 73) redis.call('GET', KEYS[1]) 'session_gone'",
		expand("slice(session, CURRENT) slice(session, PREVIOUS.first, GENERATION.last) redis.call('GET', KEYS[1]) NO_SESSION"))
}
