package tokens

import (
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// The scripts that Redis runs, and files of functions for several of them.
//
//go:embed lua/*.lua
var luaFiles embed.FS

// newScript makes one script of files in lua/.
func newScript(files ...string) *redisdb.Script { return redisdb.NewScript(scriptText(files...)) }

// newEndScript makes a script that ends something, and may append the end to the feed.
func newEndScript(files ...string) *redisdb.Script {
	return redisdb.NewScript(feed.AppendFunction() + scriptText(files...))
}

func scriptText(files ...string) string {
	var text strings.Builder
	for _, name := range files {
		source, err := luaFiles.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // a file that this binary was built without
		}
		text.Write(source)
	}
	return expand(text.String())
}

// expand replaces the names of fields by numbers, and those of constants by values: Redis would pay
// for names at each call. CURRENT becomes "2, 33", CURRENT.first becomes 2, and CURRENT.last 33.
func expand(source string) string {
	values := map[string]string{}
	for _, f := range recordFields() {
		first, last := strconv.Itoa(f.at+1), strconv.Itoa(f.end)
		values[f.name], values[f.name+".first"], values[f.name+".last"] = first+", "+last, first, last
	}
	for _, c := range constants() {
		values[c.name] = c.lua()
	}
	return regexp.MustCompile(`\b[A-Z][A-Z0-9_]+(\.first|\.last)?\b`).ReplaceAllStringFunc(source, func(name string) string {
		if value, known := values[name]; known {
			return value
		}
		return name // KEYS, ARGV, the commands of Redis
	})
}

// field is a part of a record: the bytes from at until end, counted from 0.
type field struct {
	name    string // in scripts
	at, end int
}

// recordFields returns the fields that scripts name, in all kinds of records.
func recordFields() []field {
	return append(sessionFields(),
		field{"RESPONSE_ACCESS", atResponseAccess, atResponseRequest},
		field{"RESPONSE_REQUEST", atResponseRequest, atResponseSealed},
		field{"RECORD_HASH", atRecordHash, atRecordEpoch},
		field{"KEY_ENDS", atKeyEnds, atKeyEpoch},
		field{"RECORD_EPOCH", atRecordEpoch, atRecordIssued}) // of a client's own token alone
}

// constant is a number or a string for scripts.
type constant struct {
	name  string
	value any
}

func (c constant) lua() string {
	if text, ok := c.value.(string); ok {
		return "'" + text + "'"
	}
	return fmt.Sprint(c.value)
}

// constants returns the other constants that scripts name.
func constants() []constant {
	return []constant{
		{"SESSION_V1", sessionV1},
		{"SESSION_V2", sessionV2},
		{"RECORD_KINDS", recordKinds},
		{"CONFIRMATION_SIZE", confirmationSize},
		{"THUMBPRINT_SIZE", confirmationSize / 2},
		{"CLIENT_RECORD_V1", clientRecordV1},
		{"KEY_RECORD_V1", keyRecordV1},
		{"USER_RECORD_V1", userRecordV1},
		{"EXCHANGED_RECORD_V1", exchangedRecordV1},
		{"MARKS_V1", marksV1},
		{"TIME_FORMAT", fmt.Sprintf("%%0%d.0f", timeDigits)},
		{"HEX", 16},
		{"ID_SIZE", len(ID{})},
		{"SESSION_ID_SIZE", len(SessionID{})},
		{"NAME_SIZE", len(ServedName{})},
		{"UVARINT_LAST", 0x7f}, // bytes above it have another after them
		{"HSCAN_ALL", 1_000_000},
		{"MAX_BEYOND", maxBeyond},
		{"NO_SESSION", string(ReasonNoSession)},
		{"OTHER_CLIENT", string(ReasonOtherClient)},
		{"OTHER_KEY", string(ReasonOtherKey)},
		{"REPLAYED", string(reasonReplayed)},
		{"ENDED", string(ReasonEnded)},
		{"ACCESS_GONE", string(ReasonAccessGone)},
		{"LOST_ROTATION", string(ReasonLostRotation)},
		{"REUSE", string(ReasonReuse)},
		{"LATE", string(reasonLate)},
	}
}
