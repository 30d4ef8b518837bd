package feed

import (
	"crypto/rand"
	"embed"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// The scripts that Redis runs, and functions for them.
//
//go:embed lua/*.lua
var luaFiles embed.FS

// StreamKey is the key of the stream, beside the registry of clients in a Cluster. Scripts of other
// packages name it to append in the same step.
const StreamKey = "feed:{registry}"

const (
	beatKey = StreamKey + ":beat"
	markKey = StreamKey + ":enabled"
)

// life is the lifetime of the stream. Each use restarts it.
const life = 400 * 24 * time.Hour

const (
	nonceSize = 9
	trims     = 8 // of 256 appends
)

// AppendFunction is Lua for the front of a script, which may then append an end to the stream in
// the same step:
//
//	append_end(stream, nonce, names, client)
//
// nonce comes from Nonce ("": nothing is appended), names from Join; client is the id of a
// registered client that changed, or ”. It is accepted when Redis is full.
func AppendFunction() string { return source("end") }

// Nonce draws what an entry is known by. One that is drawn before a script runs may be written
// twice, by a repetition of the network layer.
func Nonce() []byte {
	n := make([]byte, nonceSize)
	rand.Read(n) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	return n
}

// Join writes names as an entry has them.
func Join(names ...string) string { return strings.Join(names, " ") }

func newScript(files ...string) *redisdb.Script { return redisdb.NewScript(source(files...)) }

// source joins files, with numbers in the place of names.
func source(files ...string) string {
	var text strings.Builder
	for _, name := range files {
		part, err := luaFiles.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // a file that this binary was built without
		}
		text.Write(part)
	}
	return strings.NewReplacer("RETENTION", fmt.Sprint(Retention.Milliseconds()), "LIFE", fmt.Sprint(life.Milliseconds()),
		"TRIMS", fmt.Sprint(trims)).Replace(text.String())
}

var (
	appendScript = newScript("end", "append")
	readScript   = newScript("end", "entry", "upkeep", "page")
	pageScript   = newScript("entry", "page")
	enableScript = newScript("end", "enable")
)
