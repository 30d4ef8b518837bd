package cli

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/importer"
	"github.com/grantor-auth/grantor/internal/parts"
)

const foreignKey = "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8"

// foreignKeys is a dump of djangorestframework-api-key with one key.
func foreignKeys() string {
	sum := sha512.Sum512([]byte(foreignKey))
	return fmt.Sprintf(`[{"model": "rest_framework_api_key.apikey", "fields": {"prefix": "axSugJ0Y", "hashed_key": "sha512$$%s", "name": "partner"}}]`,
		hex.EncodeToString(sum[:]))
}

// planned is an import of foreignKeys that knows what it will write, and has written nothing.
func (d *importDesk) planned(t *testing.T) (*importRun, *importPlan) {
	t.Helper()
	cfg, _, err := config.Load(config.Options{Path: d.config})
	require.NoError(t, err)
	p := Program{Stdout: io.Discard, Stderr: io.Discard}
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	require.NoError(t, err)
	c := &cobra.Command{}
	c.SetContext(t.Context())
	f := &importFlags{existing: existingRefuse, apply: true, scope: "orders:read"}
	r, err := p.newImportRun(c, f, cfg, db)
	require.NoError(t, err)
	t.Cleanup(func() { r.trail.flush(); _ = db.Close() })
	items, err := importer.Sources()[3].Read([]byte(foreignKeys()), importer.Options{Scope: f.scope, Catalogue: cfg.Catalogue(), Now: time.Now()})
	require.NoError(t, err)
	plan, err := r.plan(items)
	require.NoError(t, err)
	return r, plan
}

// TestTwoImportsAtOnce: the one that loses takes nothing from the one that wins.
func TestTwoImportsAtOnce(t *testing.T) {
	d := openImportDesk(t)
	first, firstPlan := d.planned(t)
	second, secondPlan := d.planned(t)
	third, thirdPlan := d.planned(t)
	t.Run("while another is being written, nothing is", func(t *testing.T) {
		end, err := third.manager.NewImport().Begin(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, first.write(firstPlan), clients.ErrImportUnderway)
		end()
	})
	require.NoError(t, first.write(firstPlan))
	require.ErrorIs(t, second.write(secondPlan), clients.ErrImportOvertaken)
	require.ErrorIs(t, third.write(thirdPlan), clients.ErrImportOvertaken)
	require.Eventually(t, func() bool {
		_, answer := d.post(t, 0, "/oauth2/introspect", "orders-api", "secret", "token="+foreignKey)
		return answer["active"] == true
	}, 5*time.Second, 50*time.Millisecond, "the key that was imported first works")
	list, _ := d.run(t, 0, "", "key", "list", "api-key-axSugJ0Y", "--json")
	require.Equal(t, 1, strings.Count(list, `"active": true`), list)
}

// TestImportOneTextTwice: a text that two entries have would belong to the client that comes last.
func TestImportOneTextTwice(t *testing.T) {
	d := openImportDesk(t)
	one := strings.Trim(foreignKeys(), "[]")
	twice := "[" + one + "," + strings.Replace(one, `"axSugJ0Y"`, `"bxSugJ0Y"`, 1) + "]"
	_, stderr := d.run(t, 2, twice, "import", "rest-framework-api-key", "-", "--scope", "orders:read", "--apply")
	require.Contains(t, stderr, `API key "bxSugJ0Y" has the text of another key of the file`)
}

// TestImportFileBounds: what is no export is refused before it fills the memory.
func TestImportFileBounds(t *testing.T) {
	d := openImportDesk(t)
	big := filepath.Join(t.TempDir(), "big.json")
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, maxImportBytes+1))
	_, stderr := d.run(t, 2, "", "import", "keycloak", big)
	require.Contains(t, stderr, "has more than 256 MiB: export clients alone")
}
