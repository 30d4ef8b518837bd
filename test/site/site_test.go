// Package site builds the site of the documents and reads it in a browser. It needs Node, the
// registry of npm, and for the pages Chromium.
package site

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// builder is a copy of the folder site/ in which npm has installed what its lock file names.
type builder struct{ folder, source, out string }

// TestSite builds the site at a path of its host, as behind a proxy, and opens all pages.
func TestSite(t *testing.T) {
	b := install(t)
	begun := time.Now()
	output, err := b.run(t, "npm", "run", "build")
	require.NoError(t, err, output)
	require.Contains(t, output, "nothing from elsewhere")
	t.Logf("built in %s", time.Since(begun).Round(time.Second))

	t.Run("the pages, on a phone and on a desk", func(t *testing.T) { b.browse(t) })
	t.Run("every link of the Markdown leads somewhere", func(t *testing.T) {
		missing := "guides/security.md"
		output, err := b.run(t, "node", "--input-type=module", "-e", `(await import("./links.mjs")).siteLink("docs/questions.md", "`+missing+`")`)
		require.Error(t, err)
		require.Contains(t, output, "docs/questions.md links to "+missing+", but there is no docs/"+missing)
	})
	t.Run("the check refuses what would break the site", func(t *testing.T) { b.checks(t) })
	t.Run("a page that the map forgets stops the build", func(t *testing.T) {
		b.source = t.TempDir()
		for _, name := range []string{"docs", "python/django-grantor"} {
			require.NoError(t, os.CopyFS(filepath.Join(b.source, name), os.DirFS(filepath.Join(root, name))))
		}
		forgotten := "operate/flask.md"
		require.NoError(t, os.WriteFile(filepath.Join(b.source, "docs", forgotten), []byte("# New\n"), 0o600))
		output, err := b.run(t, "node", "--input-type=module", "-e", `(await import("./pages.mjs")).sidebar()`)
		require.Error(t, err)
		require.Contains(t, output, "docs/README.md has no link to docs/"+forgotten)
	})
	t.Run("SITE_BASE is a path", func(t *testing.T) {
		output, err := b.run(t, "node", "--input-type=module", "-e", `process.env.SITE_BASE = "grantor"; await import("./settings.mjs")`)
		require.Error(t, err)
		require.Contains(t, output, `SITE_BASE is "grantor": the path of the site begins and ends with /`)
	})
}

// checks spoils a copy of the built site, and sees that check.mjs complains.
func (b builder) checks(t *testing.T) {
	spoiled := b
	spoiled.out = t.TempDir()
	require.NoError(t, os.CopyFS(spoiled.out, os.DirFS(b.out)))
	require.NoError(t, os.Remove(filepath.Join(spoiled.out, "guides", "flask.html")))
	page := `<main><h1>x</h1><a href="/grantor/map.html#nowhere">a</a><img src="https://example.com/i.png"><a href="/map.html">b</a></main>`
	require.NoError(t, os.WriteFile(filepath.Join(spoiled.out, "bad.html"), []byte(page), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(spoiled.out, "bad.css"), []byte(`@import "//example.com/f.css";`), 0o600))
	output, err := spoiled.run(t, "node", "check.mjs")
	require.Error(t, err)
	for _, complaint := range []string{
		"guides/flask.html was not built", "the link /grantor/guides/flask.html leads to no file",
		"bad.html: the link /grantor/map.html#nowhere leads to no heading", "bad.html: the link /map.html is outside /grantor/",
		"bad.html loads https://example.com/i.png from elsewhere", `bad.css loads @import "//example.com/f.css from elsewhere`,
	} {
		require.Contains(t, output, complaint)
	}
}

// browse opens the pages in Chromium, and then a page with each fault that it looks for.
func (b builder) browse(t *testing.T) {
	b.chromium(t)
	begun := time.Now()
	output, err := b.run(t, "node", "browse.mjs")
	require.NoError(t, err, output)
	require.Contains(t, output, "pages opened at 390 and 1440 pixels")
	t.Logf("read in %s", time.Since(begun).Round(time.Second))

	page := `<link rel="icon" href="data:,"><img src="http://127.0.0.1:1/i.png"><div style="width:2000px">wide</div><script>console.error("broken")</script>`
	require.NoError(t, os.WriteFile(filepath.Join(b.out, "bad.html"), []byte(page), 0o600))
	t.Cleanup(func() { require.NoError(t, os.Remove(filepath.Join(b.out, "bad.html"))) })
	output, err = b.run(t, "node", "browse.mjs", "bad.html")
	require.Error(t, err)
	for _, complaint := range []string{
		"bad.html (phone, light): no heading", "pixels too wide: DIV wide", "asks elsewhere: http://127.0.0.1:1/i.png", "console: broken", "no picture",
	} {
		require.Contains(t, output, complaint)
	}
}

// chromium skips a test where there is no Chromium, unless a variable requires it.
func (b builder) chromium(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_CHROMIUM"), "chromium is not on PATH")
		t.Skip("chromium is not on PATH")
	}
}

// install copies site/ to a folder of the test, so that nothing is installed among the sources.
func install(t *testing.T) builder {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_NODE"), "npm is not on PATH")
		t.Skip("npm is not on PATH")
	}
	source, err := filepath.Abs(root)
	require.NoError(t, err)
	b := builder{folder: filepath.Join(t.TempDir(), "site"), source: source, out: t.TempDir()}
	copySite(t, b.folder)
	output, err := b.run(t, "npm", "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund")
	if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_NODE") == "" {
		t.Skip("npm ci: " + err.Error())
	}
	require.NoError(t, err, output)
	return b
}

// copySite copies the folder without what npm and VitePress put there.
func copySite(t *testing.T, to string) {
	t.Helper()
	from := filepath.Join(root, "site")
	require.NoError(t, filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "node_modules" || d.Name() == ".temp" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, below), 0o700)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, below), text, 0o600)
	}))
}

// run runs a command in the folder, for at most five minutes, and returns what it wrote.
func (b builder) run(t *testing.T, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Dir = b.folder
	c.Env = append(os.Environ(), "SITE_SOURCE="+b.source, "SITE_OUT="+b.out, "SITE_BASE=/grantor/")
	c.WaitDelay = 10 * time.Second
	output, err := c.CombinedOutput()
	return string(output), err
}
