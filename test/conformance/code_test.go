package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// included is a block of code with the file that the block comes from.
var included = regexp.MustCompile("(?s)<!-- code: (\\S+) -->\n```[a-z]+\n(.*?)```")

// TestCodeInDocuments: code that a document takes from a file stands in that file, which the
// compiler reads and a test runs. Every mark is followed by such a block.
func TestCodeInDocuments(t *testing.T) {
	guides, err := filepath.Glob("../../docs/guides/*.md")
	require.NoError(t, err)
	shown := map[string]bool{}
	for _, name := range append(guides, "../../README.md") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		blocks := included.FindAllStringSubmatch(string(text), -1)
		require.Len(t, blocks, strings.Count(string(text), "<!-- code:"), name)
		for _, block := range blocks {
			source, err := os.ReadFile(filepath.Join("../..", block[1]))
			require.NoError(t, err, name)
			require.Contains(t, string(source), block[2], "%s shows what is not in %s", name, block[1])
			shown[block[1]] = true
		}
	}
	for _, name := range []string{"examples/embed/main.go", "examples/orders-api/main_test.go", "examples/live-verifier/verifier.py",
		"examples/testing/python/test_orders.py", "examples/testing/node/orders.test.mjs",
		"examples/machine/client.py", "examples/machine/client.mjs", "examples/machine/Client.java", "examples/machine/go/main.go",
		"examples/api-go/gin/main.go", "examples/api-go/nethttp/main.go", "examples/routers/grpcapi/grpcapi.go", "examples/embed/config.toml",
		"examples/users-sql/rails.toml", "examples/users-http/app.py", "examples/users-http/app.mjs", "examples/users-http/main.go",
		"examples/machine/kubernetes.yaml", "examples/machine/github.yml", "examples/machine/spiffe.toml", "examples/spiffe/main.go",
		"examples/express/app.mjs", "examples/fastapi/app.py", "examples/flask/app.py", "examples/routers/routers.go",
		"examples/spring-boot/src/main/java/com/example/orders/SecurityConfig.java",
		"examples/mobile/typescript/session.ts", "examples/mobile/kotlin/src/Session.kt", "examples/mobile/swift/Session.swift"} {
		require.True(t, shown[name], name)
	}
}
