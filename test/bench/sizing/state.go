package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/grantor-auth/grantor/test/bench/stack"
)

const secret = "gcs_secret-of-the-bench-for-sizing-and-for-nothing-else"

// state is what node and Redis have used so far: CPU in microseconds, memory in bytes.
type state struct {
	stack.Traffic
	cpu, redisCPU, used int64
}

func (n *node) state(ctx context.Context) (s state, err error) {
	cpu, err1 := n.grantor.CPU()
	redisCPU, err2 := n.redis.CPU()
	used, _, err3 := n.redis.Used(ctx)
	traffic, err4 := n.redis.Traffic(ctx)
	return state{traffic, cpu.Microseconds(), redisCPU.Microseconds(), used}, errors.Join(err1, err2, err3, err4)
}

func names(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("user-%07d", i))
	}
	return list
}

// configuration has clients for all kinds of requests, and users whose passwords cost as little as
// bcrypt allows: what a password costs is not measured here.
func configuration(addr, redis string, users int) string {
	sum := sha256.Sum256([]byte(secret))
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	var b strings.Builder
	fmt.Fprintf(&b, `issuer = "http://%[1]s"
listen = "%[1]s"
store = "redis"
redis.url = "redis://%[2]s"
keys.encryption_key = "%[3]s"
grants.password = true
audit.output = ""
scopes."orders:read" = { description = "Read orders", resource = "https://orders.example.com" }
`, addr, redis, base64.StdEncoding.EncodeToString(key))
	for id, members := range map[string]string{
		"machine":     `grant_types = ["client_credentials"]`,
		"jwt-machine": "grant_types = [\"client_credentials\"]\naccess_token_format = \"jwt\"",
		"app":         `grant_types = ["password", "refresh_token"]`,
		"api":         `introspect = "any"`,
	} {
		scope := "scope = \"orders:read\"\n"
		if id == "api" {
			scope = ""
		}
		fmt.Fprintf(&b, "\n[[clients]]\nclient_id = %q\n%s\n%ssecrets = [{ hash = \"sha256:%s\" }]\n", id, members, scope, hex.EncodeToString(sum[:]))
	}
	for _, name := range names(users) {
		fmt.Fprintf(&b, "\n[[users.config]]\nid = \"id-of-%[1]s\"\nusername = %[1]q\nscope = \"orders:read\"\n"+
			"password_hash = \"$2a$04$bck/9f07.LSb4HMZ6bFZjexhmFIHaSb0GmcyaSEksvcQXsWeXBM66\"\n", name)
	}
	return b.String()
}
