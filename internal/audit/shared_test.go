package audit_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
)

func TestSharedFile(t *testing.T) {
	t.Run("S-33 two processes append to one file, and no line is mixed with another", func(t *testing.T) {
		const events = 4000
		name := filepath.Join(t.TempDir(), "audit.log")
		var writers sync.WaitGroup
		for _, open := range []func(string) (*audit.File, error){audit.OpenFile, audit.JoinFile} {
			f, err := open(name)
			require.NoError(t, err)
			writers.Go(func() {
				sink := audit.NewWriter(f)
				trail := audit.New(sink, slog.New(slog.DiscardHandler), nil)
				for range events {
					trail.Record(t.Context(), audit.Change(audit.ClientChanged, "job", audit.Changed, false))
				}
				sink.Close()
				_ = f.Close()
			})
		}
		writers.Wait()
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		n := 0
		for line := range strings.Lines(string(text)) {
			require.True(t, json.Valid([]byte(line)), line)
			n++
		}
		require.Equal(t, 2*events, n)
	})
	t.Run("S-33 after Close a sink says whether a write failed", func(t *testing.T) {
		f, err := audit.OpenFile(filepath.Join(t.TempDir(), "audit.log"))
		require.NoError(t, err)
		for _, wrong := range []error{nil, os.ErrClosed} {
			sink := audit.NewWriter(f)
			audit.New(sink, slog.New(slog.DiscardHandler), nil).Record(t.Context(), audit.Change(audit.UserChanged, "", audit.Deleted, true))
			sink.Close()
			require.ErrorIs(t, sink.Err(), wrong)
			_ = f.Close()
		}
	})
}
