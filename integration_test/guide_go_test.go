package integration_test

import (
	"testing"
)

// ownModule has a reader's module take Grantor from this tree.
func ownModule(t *testing.T, command string) []string {
	t.Helper()
	return []string{command, command + " && go mod edit -replace " + module + "=" + absolute(t, "..")}
}

// TestGuideAPIGo follows docs/guides/api-go.md.
func TestGuideAPIGo(t *testing.T) {
	onlyOnce(t)
	needs(t, "curl", "")
	needs(t, "jq", "")
	guide{
		page: "api-go.md",
		here: append(ownModule(t, "go mod init example.com/orders"),
			"127.0.0.1:8080", freeAddr(t), "127.0.0.1:8081", freeAddr(t), "127.0.0.1:8082", freeAddr(t)),
		environ:  goEnviron(t),
		programs: map[string]string{"grantor": built(t, module)},
	}.follow(t)
}

// TestGuideEmbed follows docs/guides/embed.md.
func TestGuideEmbed(t *testing.T) {
	onlyOnce(t)
	needs(t, "curl", "")
	guide{
		page:    "embed.md",
		here:    append(ownModule(t, "go mod init example.com/shop"), "127.0.0.1:8083", freeAddr(t)),
		environ: goEnviron(t),
	}.follow(t)
}
