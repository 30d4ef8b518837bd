//go:build unix

package audit_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
)

func TestJoinFile(t *testing.T) {
	owner := func(name string) (uid, gid uint32) {
		info, err := os.Lstat(name)
		require.NoError(t, err)
		st, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		return st.Uid, st.Gid
	}
	t.Run("S-33 a file that root makes belongs to the owner of its folder, whose node must open it", func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "trail")
		require.NoError(t, os.Mkdir(folder, 0o755))
		uid, gid := owner(folder)
		if os.Geteuid() == 0 {
			uid, gid = 12345, 12346
			require.NoError(t, os.Chown(folder, int(uid), int(gid)))
		}
		name := filepath.Join(folder, "audit.log")
		f, err := audit.JoinFile(name)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		u, g := owner(name)
		require.Equal(t, []uint32{uid, gid}, []uint32{u, g})
	})
	t.Run("S-33 nothing is made where a link leads, and nobody is waited for", func(t *testing.T) {
		folder := t.TempDir()
		aim, link, pipe := filepath.Join(folder, "aim"), filepath.Join(folder, "link"), filepath.Join(folder, "pipe")
		require.NoError(t, os.Symlink(aim, link))
		_, err := audit.JoinFile(link)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.NoFileExists(t, aim)
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
		_, err = audit.JoinFile(pipe)
		require.ErrorContains(t, err, "no regular file")
		_, err = audit.JoinFile(folder)
		require.ErrorContains(t, err, "no regular file")
	})
	t.Run("S-33 a file that is there is gone on with", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "audit.log")
		for range 2 {
			f, err := audit.JoinFile(name)
			require.NoError(t, err)
			_, err = f.Write([]byte("x\n"))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, "x\nx\n", string(text))
	})
}
