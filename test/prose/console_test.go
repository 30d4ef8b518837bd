package prose

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	opening   = regexp.MustCompile("^\\s*```(console|sh|bash|shell)\\s*$")
	played    = regexp.MustCompile(`^\s*<!-- played by (Test\w+) -->$`)
	notPlayed = regexp.MustCompile(`^\s*<!-- not played: (.{20,}) -->$`)
)

// mostNotPlayed is how many blocks of README and the guides no test can play: they fetch from the
// network, or need a system service.
const mostNotPlayed = 13

// TestConsoleBlocks: a test plays each block of commands of README and the guides, or the page says
// why none can.
func TestConsoleBlocks(t *testing.T) {
	known, skipped := testNames(t), 0
	for _, name := range files(t, ".md") {
		if !guide(name) {
			continue
		}
		complaints, not := consoleComplaints(read(t, name), known)
		for _, c := range complaints {
			t.Errorf("%s:%s", name, c)
		}
		skipped += not
	}
	require.LessOrEqual(t, skipped, mostNotPlayed, "blocks that no test plays")
}

// consoleComplaints looks at the line above each block of commands.
func consoleComplaints(text string, known map[string]bool) (all []string, notPlayedBlocks int) {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !opening.MatchString(l) {
			continue
		}
		above := ""
		if i > 0 {
			above = lines[i-1]
		}
		m := played.FindStringSubmatch(above)
		switch {
		case m != nil && !known[m[1]]:
			all = append(all, fmt.Sprintf("%d: there is no test %s", i+1, m[1]))
		case m == nil && notPlayed.MatchString(above):
			notPlayedBlocks++
		case m == nil:
			all = append(all, fmt.Sprintf("%d: the line above the block must be <!-- played by TestX --> or <!-- not played: and why -->", i+1))
		}
	}
	return all, notPlayedBlocks
}

// testNames returns the names of all tests of the repository in Go.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, name := range files(t, "_test.go") {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				known[f.Name.Name] = true
			}
		}
	}
	require.True(t, known["TestReadme"])
	return known
}

func TestConsoleComplaints(t *testing.T) {
	known := map[string]bool{"TestX": true}
	for text, want := range map[string]int{
		"<!-- played by TestX -->\n```console\n$ true\n```":                           0,
		"<!-- played by TestY -->\n```console\n$ true\n```":                           1,
		"<!-- not played: it needs a cluster of Kubernetes -->\n```sh\ntrue\n```":     0,
		"<!-- not played: hard -->\n```sh\ntrue\n```":                                 1,
		"<!-- played by TestX -->\n\n```sh\ntrue\n```":                                1,
		"```bash\ntrue\n```\n```go\nx\n```\n   ```console\n   $ indented too\n   ```": 2,
	} {
		got, _ := consoleComplaints(text, known)
		require.Len(t, got, want, text)
	}
}
