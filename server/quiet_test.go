package server

import (
	"bytes"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// TestQuiet changes Gin's globals, so that it runs beside no other test.
func TestQuiet(t *testing.T) {
	var out bytes.Buffer
	writer, mode := gin.DefaultWriter, gin.Mode()
	gin.DefaultWriter = &out
	gin.SetMode(gin.DebugMode)
	t.Cleanup(func() { gin.DefaultWriter = writer; gin.SetMode(mode) })
	start(t)
	require.Empty(t, out.String(), "no route of ours among those of the program that mounts the server")
	gin.New().GET("/theirs", func(*gin.Context) {})
	require.Contains(t, out.String(), "[GIN-debug] [WARNING] Running in \"debug\" mode.")
	require.Regexp(t, `\[GIN-debug\] GET    /theirs +--> .*func\d+ \(1 handlers\)\n$`, out.String())
}
